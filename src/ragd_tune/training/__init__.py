"""What every backend's training loop needs and no framework decides.

A backend takes the steps; which rows they read, how fast they learn, when a checkpoint is kept and
what observers hear is the same for all, and is kept here.

``course``
    Which rows make which step, how many steps there are, the learning rate.
``checkpoints``
    Checkpoints that survive a kill at any instant.
``job``
    A run in progress: events, checkpoints, looks at the held-out loss, stops.
``initial``
    The numbers that new LoRA matrices start from, the same in every framework.
``facts``
    What a model is: prompts by role, dimensions, lengths.
``written``
    Weights that appear whole or not at all, and PEFT's configuration.
``devices``
    Which devices there are, found out without a framework.
``measured``, ``memory``
    What was measured of a plan; the peak of resident memory.
"""
