"""Settings: where they come from, what they mean, and where a wrong one stands.

Order: flags > SECMON_SECTION__KEY > `--config` or /etc/secmon/secmon.toml, each with its conf.d/*.toml > the user's
own file > defaults. Unknown keys are errors. Every setting is one row of `SETTINGS` or `SOURCE_SETTINGS`.
"""

from secmon.config.reading import load_settings, missing, read_settings
from secmon.config.settings import Settings, SourceSettings
from secmon.config.table import SETTINGS, SOURCE_SETTINGS, Setting
from secmon.config.values import MASK_POLICIES, MAX_RETENTION_DAYS, MIN_RETENTION_DAYS

__all__ = [
    "MASK_POLICIES",
    "MAX_RETENTION_DAYS",
    "MIN_RETENTION_DAYS",
    "SETTINGS",
    "SOURCE_SETTINGS",
    "Setting",
    "Settings",
    "SourceSettings",
    "load_settings",
    "missing",
    "read_settings",
]
