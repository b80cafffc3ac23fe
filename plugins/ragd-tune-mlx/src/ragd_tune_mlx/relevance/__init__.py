"""Rerankers (cross-encoders) in MLX: a query and a passage read together give one score.

``model``
    An encoder of BERT's family with the head that transformers has for it.
``task``
    Rows to pairs, and the losses.
``prepare``
    A plan's model made ready for the loop that all objectives share.
``serve``
    The loaded model that scores.
"""
