"""Bringing the server from Maven Central: once, below build/, with the JDK that runs it.

It is the cut-down server that Elastic publishes for integration tests
(org.elasticsearch.distribution.integ-test-zip:elasticsearch). Nothing of it is part of this repository (Elastic License
2.0 / AGPLv3 / SSPL). Needs nothing beyond the standard library.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

VERSION = "8.19.21"
ARTIFACT = f"org.elasticsearch.distribution.integ-test-zip:elasticsearch:{VERSION}:zip"


def _build_folder() -> Path:
    """Return where the server lies: below build/, or, where root works in a folder closed to others, in /var/tmp.

    As root the server runs as another user, who must be able to enter the folder.
    """
    folder = Path(__file__).resolve().parent.parent.parent / "build" / "elasticsearch"
    if os.geteuid() == 0 and not all(path.stat().st_mode & 0o001 for path in folder.parents if path.exists()):
        return Path("/var/tmp/secmon-elasticsearch")  # noqa: S108  `fetch` refuses it if it is not ours
    return folder


BUILD = _build_folder()
HOME = BUILD / f"elasticsearch-{VERSION}"
MIN_JAVA = 17
# Left out of the published options: they write files beside the program, which the server's user may not do.
_UNWANTED_OPTIONS = ("Xlog", "HeapDumpOnOutOfMemory", "ErrorFile")


class ServerError(Exception):
    """The server cannot be fetched, started or stopped; the text says why and what to do."""


def java_home() -> Path:
    """Return the home of a JDK 17 or newer.

    Raises:
        ServerError: there is none.
    """
    named = os.environ.get("ES_JAVA_HOME") or os.environ.get("JAVA_HOME")
    found = shutil.which("java")
    home = Path(named) if named else Path(found).resolve().parent.parent if found else None
    if home is None or not (home / "bin" / "java").exists():
        raise ServerError("there is no Java (Debian: apt install openjdk-17-jdk-headless, or set ES_JAVA_HOME)")
    told = subprocess.run([home / "bin" / "java", "-version"], capture_output=True, text=True, check=False).stderr
    major = told.partition('"')[2].partition(".")[0].partition('"')[0]
    if not major.isdecimal() or int(major) < MIN_JAVA:
        raise ServerError(f"Java {MIN_JAVA} or newer is needed (set ES_JAVA_HOME)")
    return home


def fetch() -> Path:
    """Bring and unpack the server, once; return its folder.

    Raises:
        ServerError: Maven is missing or could not bring it.
    """
    if BUILD.exists() and BUILD.stat().st_uid not in {os.geteuid(), 0}:
        raise ServerError(f"{BUILD} belongs to somebody else")
    if (HOME / "bin" / "elasticsearch").exists():
        return HOME
    archive = BUILD / f"elasticsearch-{VERSION}.zip"
    if not archive.exists():
        maven = shutil.which("mvn")
        if maven is None:
            raise ServerError("there is no Maven (Debian: apt install maven)")
        BUILD.mkdir(mode=0o755, parents=True, exist_ok=True)
        copy = [maven, "-B", "-q", "dependency:copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={BUILD}"]
        done = subprocess.run(copy, cwd=BUILD, stdout=sys.stderr, check=False)
        if done.returncode or not archive.exists():
            raise ServerError(f"Maven could not bring {ARTIFACT} (see its lines above)")
    fresh = BUILD / f"unpacking-{os.getpid()}"
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(fresh)  # modes are lost; those of bin/ are set below
    for program in (fresh / HOME.name / "bin").iterdir():
        program.chmod(0o755)
    options = fresh / HOME.name / "config" / "jvm.options"
    kept = [line for line in options.read_text().splitlines() if not any(word in line for word in _UNWANTED_OPTIONS)]
    options.write_text("\n".join(kept) + "\n")
    (fresh / HOME.name / "plugins").mkdir(exist_ok=True)
    with contextlib.suppress(FileExistsError, OSError):  # another process was faster
        (fresh / HOME.name).rename(HOME)
    shutil.rmtree(fresh, ignore_errors=True)
    return HOME


def check_reachable(home: Path) -> None:
    """As root the server runs as another user, who must be able to enter the folder it lies in."""
    closed = [path for path in home.parents if os.geteuid() == 0 and not path.stat().st_mode & 0o001]
    if closed:
        raise ServerError(
            f"{closed[-1]} is closed to other users, and Elasticsearch does not run as root (chmod o+x it)"
        )
