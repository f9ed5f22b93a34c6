"""Where in its file a rule is wrong: pySigma names the problem, this finds the line."""

from typing import Any

from sigma import exceptions as sigma_errors
from sigma.conditions import SigmaCondition
from sigma.exceptions import SigmaError
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaDetections

from secmon.sigma.documents import Path, YamlDocument

_KEY_OF: tuple[tuple[type[SigmaError], str], ...] = (
    (sigma_errors.SigmaIdentifierError, "id"),
    (sigma_errors.SigmaNameError, "name"),
    (sigma_errors.SigmaTitleError, "title"),
    (sigma_errors.SigmaTaxonomyError, "taxonomy"),
    (sigma_errors.SigmaRelatedError, "related"),
    (sigma_errors.SigmaLevelError, "level"),
    (sigma_errors.SigmaStatusError, "status"),
    (sigma_errors.SigmaTagError, "tags"),
    (sigma_errors.SigmaDateError, "date"),
    (sigma_errors.SigmaModifiedError, "modified"),
    (sigma_errors.SigmaFieldsError, "fields"),
    (sigma_errors.SigmaFalsePositivesError, "falsepositives"),
    (sigma_errors.SigmaAuthorError, "author"),
    (sigma_errors.SigmaDescriptionError, "description"),
    (sigma_errors.SigmaReferencesError, "references"),
    (sigma_errors.SigmaScopeError, "scope"),
    (sigma_errors.SigmaLicenseError, "license"),
    (sigma_errors.SigmaLogsourceError, "logsource"),
)


def line_of_error(document: YamlDocument, error: Exception) -> int:
    """Return the line of what pySigma complained about: the key, as far as it can be told."""
    for kind, key in _KEY_OF:
        if isinstance(error, kind):
            return document.line_of(key)
    if "correlation" in document.data:
        return document.line_of("correlation", "condition")
    if isinstance(error, sigma_errors.SigmaConditionError):
        return document.line_of("detection", "condition")
    return document.line_of("detection", *_broken_detection(document.data.get("detection")))


def line_of_field(document: YamlDocument, name: str | None) -> int:
    """Return the line of the first detection item of a field (None: of the condition)."""
    if name is not None:
        for path, line in document.lines.items():
            if path[0] == "detection" and str(path[-1]).split("|")[0] == name:
                return line
    return document.line_of("detection", "condition")


def _broken_detection(detection: Any) -> Path:
    """Return the path, below `detection`, of the first part that pySigma refuses on its own."""
    if not isinstance(detection, dict):
        return ()
    for name, definition in detection.items():
        if name != "condition" and (path := _broken(definition, (name,))) is not None:
            return path
    return ("condition",)


def _broken(definition: Any, path: Path) -> Path | None:
    if not _refused(definition):
        return None
    if isinstance(definition, dict):
        for key, value in definition.items():
            if _refused_item(key, value):
                return (*path, key)
    elif isinstance(definition, list):
        for index, each in enumerate(definition):
            if (found := _broken(each, (*path, index))) is not None:
                return found
    return path


def _refused(definition: Any) -> bool:
    try:
        detection = SigmaDetection.from_definition(definition)
        SigmaCondition("it", SigmaDetections({"it": detection}, ["it"])).parse()
    except Exception:  # noqa: BLE001  pySigma raises many kinds on malformed input; all of them say "here"
        return True
    return False


def _refused_item(key: Any, value: Any) -> bool:
    try:
        SigmaDetectionItem.from_mapping(key, value)
    except Exception:  # noqa: BLE001  as above
        return True
    return False
