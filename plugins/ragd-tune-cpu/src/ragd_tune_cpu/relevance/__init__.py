"""Rerankers (cross-encoders): a query and a passage read together give one score.

``model``
    Any encoder, or a reranker, as sentence-transformers' cross-encoder with one score.
``collate``
    Rows to pairs of texts, and what each pair's score is to be.
``loss``
    Binary cross-entropy, or the listwise softmax.
``prepare``
    A plan's model made ready for the loop that all objectives share.
``serve``
    The loaded model that scores.
"""
