"""Late interaction (ColBERT): many vectors a text, trained and served by sentence-transformers.

``model``
    Any encoder, or a ColBERT checkpoint, as a model with one vector a token.
``shape``
    Lengths, query expansion, marks and skipped punctuation: what such a model has beside weights.
``loss``
    The softmax over MaxSim scores of a batch.
``prepare``
    A plan's model made ready for the loop that all objectives share.
``serve``
    The loaded model that answers with token vectors.
``stanford``
    The checkpoint layout of Stanford's ColBERT, which RAGatouille and PyLate read too.
"""
