"""A trained model on its way back to its base, by the option ``blend``."""

from __future__ import annotations

import torch
from sentence_transformers import SentenceTransformer

from ragd_tune.errors import TuneError
from ragd_tune.plan import TrainPlan
from ragd_tune.training.written import blend
from ragd_tune_cpu.base import load_folder


def towards_base(model: SentenceTransformer, plan: TrainPlan) -> None:
    """Move the weights of ``model``, which is trained, to where ``plan`` wants them saved.

    The base is read again for it. A copy that is kept would double the weights while training
    needs the memory; at its end the gradients are gone, which took as much.

    :raises TuneError: the base is another one than when the training began.
    """
    share = blend(plan)
    if share == 1.0:
        return
    base = load_folder(plan.base.path, name=plan.base.name, device="cpu")
    start = dict(base.named_parameters())
    with torch.no_grad():
        for name, trained in model.named_parameters():
            own = start.get(name)
            if own is None or own.shape != trained.shape:
                raise TuneError(
                    f"base model {plan.base.name}: {plan.base.path} holds another model than when "
                    f"the training began ({name}), and the option blend needs it",
                    mend="put it back and run the same command again",
                )
            trained.copy_(torch.lerp(own.to(trained.device), trained, share))
