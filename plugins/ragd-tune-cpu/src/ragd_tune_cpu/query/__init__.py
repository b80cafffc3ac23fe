"""The side ``query``: documents keep the vectors of the bare base, and queries learn to find them.

``frozen``
    Vectors that training leaves alone, made once by the bare base.
``mapping``
    The tuning ``map``: one matrix on a query's vector.
``loss``
    The in-batch softmax against frozen documents.
``prepare``
    A plan's model made ready for the loop that all objectives share.
``serve``
    The loaded model: queries through the adapter, documents through the bare base.
"""
