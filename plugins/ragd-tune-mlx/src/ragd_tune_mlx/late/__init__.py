"""Late interaction (ColBERT) in MLX: many vectors a text, compared by MaxSim.

``tokens``
    Texts to tokens by their role, and which of them count.
``model``
    An encoder of BERT's family and a projection, as one module.
``task``
    The softmax over MaxSim scores of a batch.
``prepare``
    A plan's model made ready for the loop that all objectives share.
``serve``
    The loaded model that answers with token vectors.
"""
