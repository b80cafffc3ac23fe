"""Room for the kind ``colbert``: rerankers that compare token vectors by MaxSim."""
