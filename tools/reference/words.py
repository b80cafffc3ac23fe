"""What no code says: the words of the reference. A thing without its words is an error."""

from __future__ import annotations

EXITS = {
    "DONE": "done; a proof that was asked for passed",
    "FAILED": "failed; the message says what happened and what to do next",
    "USAGE": "a flag, a name or a configuration value that cannot be used",
    "NOT_PROVEN": "the proof was not good enough; what was trained is kept in the store",
    "NOT_INSTALLED": "a package, a backend, a kind of model or a base model is not here",
    "BAD_DATA": "the data cannot be used; the message names file and line",
    "INTERRUPTED": "stopped by Ctrl-C or a polite kill; a checkpoint was kept if there was one",
}
FIELDS = {
    "Manifest": {
        "schema": "version of this format",
        "kind": "kind of model, as in `ragd-tune train KIND`",
        "objective": "what was minimised",
        "tuning": "how the weights were changed",
        "side": "`query`: the documents' encoder is the base's, unchanged",
        "format": "what lies beside the manifest: `peft`, `full` or `map`",
        "base": "the base model",
        "dimension": "floats of one vector; 0 where a kind has no vectors",
        "dimensions": "leading dimensions that were trained too (Matryoshka), descending",
        "max_length": "tokens after which a text is cut",
        "prompts": "what is put before a text, by its role",
        "pooling": "how token vectors become one vector",
        "normalise": "whether vectors are scaled to length 1",
        "settings": "what else the kind needs to know of the model, by name",
        "space": "id of the documents' vector space; vectors of two spaces never meet",
        "files": "every file but the manifest, by relative path",
    },
    "BaseRef": {
        "name": "what people call it; never a path",
        "fingerprint": "what decides: the sha256 over tensors, tokenizer, pooling and prompts",
    },
    "Prompts": {
        "query": "put before queries",
        "document": "put before documents",
        "system": "text of a language model's system turn; left out of the id where it is empty",
    },
    "FileEntry": {"sha256": "of the file's bytes, in hex", "size": "in bytes"},
}
VARIABLES = {
    "RAGD_TUNE_HOME": "folder of the store; `~/.ragd/tune` when not set",
    "RAGD_TUNE_API_KEY": "key for the language model that `data`, `auto` and `ragas` ask",
    "RAGD_TUNE_DISABLE": "names of plugins that are not loaded, comma-separated",
    "RAGD_TUNE_NO_FORGETTING": "when set to 1, proofs do not look at another domain",
    "RAGD_TUNE_PROOF_PRECISION": "what `--proof-precision` says: auto or fp32",
    "RAGD_TUNE_DEBUG": "when set, an unexpected error prints its traceback",
    "RAGD_TUNE_FAULT": "for tests of the store: the number of the file operation to die at",
    "HF_HOME": "folder of the model hub's library; its cache lies in `hub/` there",
    "HF_HUB_CACHE": "folder of the model hub's cache",
    "HF_HUB_OFFLINE": "when set to 1, the model hub is never asked",
    "HF_ENDPOINT": "address of the model hub, where it is another one",
    "CUDA_VISIBLE_DEVICES": "read by the backends: empty or -1 hides the GPUs",
    "TORCH_EXTENSIONS_DIR": "where RAGatouille compiles its C++; in the store when not set",
    "RAGD_TUNE_AXOLOTL_PYTHON": "interpreter of an environment that has Axolotl",
}
