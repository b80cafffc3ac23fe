"""The base of an embedder where nobody names one: the model that ragd embeds with.

ragd chooses it by the hardware when it is set up, or its user did. Trained from that, an adapter is
proven against what ragd has, and an adapter of the query side fits the index that is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragd_tune import config
from ragd_tune.config import Layer
from ragd_tune.errors import NotInstalledError, StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from ragd_tune.config import Setting
    from ragd_tune.plan import BaseModel
    from ragd_tune.store import Store


def host_base(store: Store) -> tuple[str, str] | None:
    """Return the name of ragd's own embedder and the place that says so; None if ragd has none.

    Where ragd uses an adapter of ``store``, its base is meant.

    :raises UsageError: ragd's configuration cannot be read.
    """
    from ragd_tune.ragd import configfile
    from ragd_tune.ragd.facts import CUSTOM, host_config
    from ragd_tune.ragd.provider import adapter_of, view_id

    path = config.ragd_path()
    if not path.is_file():
        return None
    facts, where = host_config(configfile.parse(configfile.read(path), str(path))), str(path)
    if (view := view_id(facts.model)) is not None:
        try:
            return store.get(view).manifest.base.name, f"{where}: the base of embedding.model"
        except StoreError:
            return None
    if adapter_of(facts) is not None:
        return None
    name = facts.custom if facts.model == CUSTOM and facts.custom else facts.model
    return name, f"{where}: embedding.model"


def base_layer(store: Store, serves: str) -> Layer:
    """Return what ragd's configuration says of the base of a kind of model that ``serves``."""
    found = host_base(store) if serves == "embedder" else None
    return Layer(source="ragd", values={"base": found} if found else {})


def base_of(store: Store, named: str | None) -> str:
    """Return ``named``, else ragd's own embedder, else the base that every machine can run."""
    from ragd_tune.ragd.tiers import BASES

    if named:
        return named
    found = host_base(store)
    return found[0] if found else BASES["standard"]


def resolve_base(
    setting: Setting, otherwise: str, *, offline: bool | None, home: Path
) -> BaseModel:
    """Find the base that an option names, else ``otherwise``.

    :raises NotInstalledError: it is nowhere; says so if it was ragd that named it.
    """
    from ragd_tune.models import resolve

    name = setting.value if isinstance(setting.value, str) else otherwise
    try:
        return resolve(name, offline=offline, home=home)
    except NotInstalledError as error:
        if setting.source != "ragd":
            raise
        raise NotInstalledError(
            f"{setting.where} names the base, and {error.message}",
            mend=f"{error.mend}; or take another one: --base all-MiniLM-L6-v2",
        ) from error
