"""`gateway`: what the commands are called, what they take, and what their exit statuses mean."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields
from pathlib import Path
from typing import TypeAlias

from gateway import __version__, errors
from gateway.client import Client
from gateway.errors import GatewayError
from gateway.settings import Settings, load_settings, option_of, variable_of

# <sysexits.h>, where it has the case; 1 is what scripts test for: it was understood, and not done. The first row
# that an error belongs to is its status.
EXIT_STATUS: tuple[tuple[type[GatewayError], int], ...] = (
    (errors.InvalidSettings, 78),  # EX_CONFIG
    (errors.AlreadyServed, 75),  # EX_TEMPFAIL
    (errors.AddressInUse, 75),
    (errors.StorageFailed, 74),  # EX_IOERR
    (errors.StorageFull, 74),
    (errors.NoDataFolder, 66),  # EX_NOINPUT
    (errors.Unreachable, 69),  # EX_UNAVAILABLE
    (errors.InvalidRequest, 65),  # EX_DATAERR
    (errors.GatewayError, 1),
)

INTERRUPTED = 130  # 128 and SIGINT, as shells have it

EPILOG = """\
exit status:
  0   it was done
  1   it was refused, or not all of it was done: standard error says why
  2   the command line is wrong
  65  an input file is not what it has to be
  66  an input file or a data folder is not there, or cannot be read
  69  no gateway answers at the address given
  74  the disk or the database failed
  75  the data folder or the port is in use
  78  a setting is wrong
  130 it was interrupted
"""


# Of the commands that go to servers; commands/login.py reads it.
LOGIN_EPILOG = """\
login:
  The environment has it, for every process can read a command line:
    DICOMWEB_LOGIN   of the gateway at --url, or of a proxy before it{pacs}
  is 'basic USER:PASSWORD', 'bearer TOKEN' or 'aws [PROFILE]', and with _FILE at
  the end of its name a file that holds that. Without it a gateway that asks for
  a signature gets one by the access key that AWS tools would find.
"""
PACS_EPILOG = """
    PACS_LOGIN       of the DICOMweb server that is imported from"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status."""
    options = parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except errors.InvalidSettings as error:
        for problem in error.problems:
            complain(problem)
        return 78
    except GatewayError as error:
        complain(str(error))
        return next(status for kind, status in EXIT_STATUS if isinstance(error, kind))
    except BrokenPipeError:  # as in `gateway history … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        complain(options.interrupted)
        return INTERRUPTED


def complain(sentence: str) -> None:
    """Write a sentence to standard error."""
    print(f"gateway: {sentence}", file=sys.stderr)


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    top = argparse.ArgumentParser(
        prog="gateway",
        description="DICOMweb edits for versioned image sets, with the AWS HealthImaging API.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"dicomweb-gateway {__version__}")
    top.set_defaults(interrupted="interrupted")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for add in (
        add_serve,
        add_import,
        add_translate,
        add_history,
        add_diff,
        add_revert,
        add_verify,
        add_backup,
        add_demo,
    ):
        add(commands)
    return top


_WEB = ("http://", "https://")

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_serve(commands: Commands) -> None:
    command = commands.add_parser("serve", help="serve DICOMweb and the HealthImaging API until told to stop")
    for field in fields(Settings):
        default = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
        command.add_argument(
            option_of(field.name),
            metavar="VALUE",
            nargs="?" if isinstance(field.default, bool) else None,
            const="true" if isinstance(field.default, bool) else None,
            help=f"{variable_of(field.name)}, by default {default or 'empty'}",
        )
    command.add_argument(
        "--i-accept-unauthenticated-access",
        action="store_true",
        help="listen on an address that other machines reach, though nobody is asked who they are",
    )
    command.epilog = "docs/settings.md says what each setting is for."
    command.set_defaults(run=run_serve)


def run_serve(options: argparse.Namespace) -> int:
    from gateway.commands.serve import serve

    settings = load_settings(os.environ, {field.name: getattr(options, field.name) for field in fields(Settings)})
    return serve(settings, accept_unauthenticated_access=options.i_accept_unauthenticated_access)


def add_target(command: argparse.ArgumentParser) -> None:
    """Add the options that say which gateway a command speaks to."""
    target = command.add_mutually_exclusive_group()
    target.add_argument("--data", metavar="FOLDER", help="a data folder that no gateway serves now")
    target.add_argument("--url", type=address, help="the address of a gateway, or of one of its DICOMweb roots")
    command.add_argument("--json", action="store_true", help="write JSON")
    command.epilog = LOGIN_EPILOG.format(pacs="")
    command.formatter_class = argparse.RawDescriptionHelpFormatter


def address(text: str) -> str:
    """Return an address. Raises ArgumentTypeError for one with a user or a password in it, without showing it."""
    if "@" in text.partition("//")[2].partition("/")[0]:
        raise argparse.ArgumentTypeError("an address has no login in it, for all can read a command line; see --help")
    return text


def client_of(options: argparse.Namespace, *, may_make_folder: bool = False) -> AbstractContextManager[Client]:
    """Return a client of the gateway that --url or --data names."""
    from gateway.commands.connect import connected

    settings = load_settings(os.environ, {"data": options.data})
    return connected(options.url, settings, os.environ, may_make_folder=may_make_folder)


def add_import(commands: Commands) -> None:
    command = commands.add_parser("import", help="store folders of DICOM files, or studies of another DICOMweb server")
    command.add_argument(
        "paths", metavar="PATH", nargs="+", type=path, help="a file, a folder and all below it, or one https://…"
    )
    command.add_argument(
        "--filter",
        action="append",
        default=[],
        type=search_filter,
        metavar="ATTRIBUTE=VALUE",
        help="of a DICOMweb server, only studies that match: PatientID=…, StudyDate=20240101-; may be repeated",
    )
    add_target(command)
    command.epilog = LOGIN_EPILOG.format(pacs=PACS_EPILOG)
    command.add_argument("--quiet", action="store_true", help="show no progress")
    what_now = "interrupted: what was stored stays, and the same command goes on from there"
    command.set_defaults(run=run_import, interrupted=what_now)


def path(text: str) -> str:
    """Return a path, or an address. Raises ArgumentTypeError for a login in it."""
    return address(text) if text.startswith(_WEB) else text


def run_import(options: argparse.Namespace) -> int:
    from gateway.commands.import_files import import_files

    if any(path.startswith(_WEB) for path in options.paths):
        return run_import_pacs(options)
    if options.filter:
        complain("--filter goes with the address of a DICOMweb server")
        return 2
    missing = [path for path in options.paths if not os.path.lexists(path)]
    for path in missing:
        complain(f"{path} does not exist")
    if missing:
        return 66
    with client_of(options, may_make_folder=True) as client:
        return import_files([Path(path) for path in options.paths], client, as_json=options.json, quiet=options.quiet)


def run_import_pacs(options: argparse.Namespace) -> int:
    from gateway.commands.import_pacs import import_pacs
    from gateway.commands.login import AT_PACS, Login

    if len(options.paths) > 1:
        complain("one DICOMweb server at a time, and no folders with it")
        return 2
    login = Login(AT_PACS, os.environ, load_settings(os.environ).region)
    with client_of(options, may_make_folder=True) as client:
        filters = dict(options.filter)
        return import_pacs(options.paths[0], filters, client, login, as_json=options.json, quiet=options.quiet)


def search_filter(text: str) -> tuple[str, str]:
    """Return an attribute and the value to match. Raises ArgumentTypeError, which argparse tells as a usage error.

    A server ignores what it does not know (PS3.18 section 8.3.4): a name that is misspelt would find every study.
    """
    from gateway.dicom.dictionary import keywords, tag_of

    name, _, value = text.partition("=")
    if not name or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not ATTRIBUTE=VALUE, as PatientID=P1")
    if tag_of(name) is None:
        near = difflib.get_close_matches(name, keywords(), n=1)
        hint = f"did you mean {near[0]}?" if near else "it takes keywords and tags, as PatientID and 00100020"
        raise argparse.ArgumentTypeError(f"{name} is no attribute of DICOM: {hint}")
    return name, value


def add_translate(commands: Commands) -> None:
    command = commands.add_parser(
        "translate", help="turn a DICOM JSON edit into a HealthImaging update document; needs no server"
    )
    command.add_argument("edit", metavar="EDIT", help="DICOM JSON: a dataset, or an array; null removes; - is stdin")
    command.add_argument("--metadata", metavar="DOCUMENT", help="GetImageSetMetadata's answer: check against it")
    command.add_argument("--force", action="store_true", help="check as --force of the AWS command would")
    command.add_argument("--not-primary", action="store_true", help="check for an image set that is not primary")
    command.set_defaults(run=run_translate)


def run_translate(options: argparse.Namespace) -> int:
    from gateway.commands.translate import translate

    try:
        edit = read_input(options.edit)
        document = read_input(options.metadata) if options.metadata else None
    except OSError as error:
        complain(f"{error.filename}: {error.strerror}")
        return 66
    profile = load_settings(os.environ).constraint_profile
    try:
        return translate(edit, document, profile=profile, primary=not options.not_primary, force=options.force)
    except errors.InvalidRequest as error:
        complain(f"{options.metadata if isinstance(error, errors.InvalidDocument) else options.edit}: {error}")
        return 65


def read_input(name: str) -> bytes:
    """Return a file's bytes, standard input's for `-`. Raises OSError."""
    return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()


def add_history(commands: Commands) -> None:
    command = commands.add_parser("history", help="list the versions of a study or series, newest first")
    add_resource(command)
    command.set_defaults(run=run_history)


def add_diff(commands: Commands) -> None:
    command = commands.add_parser("diff", help="show what changed between two versions")
    add_resource(command)
    command.add_argument("--from", dest="before", type=version, metavar="V", help="by default the one before --to")
    command.add_argument("--to", dest="after", type=version, metavar="W", help="by default the latest")
    command.set_defaults(run=run_diff)


def add_revert(commands: Commands) -> None:
    command = commands.add_parser("revert", help="make a new version with the content of an older one")
    add_resource(command)
    command.add_argument("--to", type=version, required=True, metavar="V", help="the version to go back to")
    command.add_argument("--reason", help="why, kept on the new version")
    command.set_defaults(run=run_revert)


def add_resource(command: argparse.ArgumentParser) -> None:
    command.add_argument("study", metavar="STUDY", type=uid, help="Study Instance UID")
    command.add_argument("series", metavar="SERIES", type=uid, nargs="?", help="Series Instance UID")
    add_target(command)


def uid(text: str) -> str:
    """Return a UID. Raises ArgumentTypeError, which argparse tells as a usage error."""
    from gateway.dicom.query_string import is_uid

    if not is_uid(text):
        raise argparse.ArgumentTypeError(str(errors.InvalidUid(repr(text))))
    return text


def version(text: str) -> int:
    """Return a version number. Raises ArgumentTypeError, which argparse tells as a usage error."""
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"{text!r} is no version: the first is 1, and `gateway history` lists them")
    return int(text)


def run_history(options: argparse.Namespace) -> int:
    from gateway.commands.versions import history

    with client_of(options) as client:
        return history(client, options.study, options.series, as_json=options.json)


def run_diff(options: argparse.Namespace) -> int:
    from gateway.commands.versions import diff

    with client_of(options) as client:
        return diff(client, options.study, options.series, options.before, options.after, as_json=options.json)


def run_revert(options: argparse.Namespace) -> int:
    from gateway.commands.versions import revert

    query = {"to": options.to} | ({"reason": options.reason} if options.reason else {})
    with client_of(options) as client:
        return revert(client, options.study, options.series, query, as_json=options.json)


def add_verify(commands: Commands) -> None:
    command = commands.add_parser("verify", help="look for damage in a data folder that no gateway serves now")
    command.add_argument("--data", metavar="FOLDER", help="the data folder, by default that of the settings")
    command.add_argument(
        "--level",
        choices=("exists", "size", "checksum"),
        default="checksum",
        help="of stored instances: that their packs exist, have all their bytes, or the bytes that came (the default)",
    )
    command.add_argument("--json", action="store_true", help="write JSON")
    command.set_defaults(run=run_verify)


def run_verify(options: argparse.Namespace) -> int:
    from gateway.commands.verify import verify_folder

    folder = load_settings(os.environ, {"data": options.data}).data
    return verify_folder(folder, options.level, as_json=options.json)


def add_backup(commands: Commands) -> None:
    command = commands.add_parser("backup", help="copy a data folder, also while a gateway serves it")
    command.add_argument("target", metavar="COPY", type=Path, help="a folder that is empty or not there yet")
    command.add_argument("--data", metavar="FOLDER", help="the data folder, by default that of the settings")
    command.add_argument(
        "--previous", metavar="COPY", type=Path, help="an earlier copy: packs that it has are linked and not copied"
    )
    command.add_argument("--json", action="store_true", help="write JSON")
    command.set_defaults(run=run_backup)


def run_backup(options: argparse.Namespace) -> int:
    from gateway.commands.backup import backup_folder

    folder = load_settings(os.environ, {"data": options.data}).data
    return backup_folder(folder, options.target, options.previous, as_json=options.json)


def add_demo(commands: Commands) -> None:
    command = commands.add_parser("demo", help="run one edit end to end over a temporary folder, in about ten seconds")
    command.set_defaults(run=run_demo)


def run_demo(options: argparse.Namespace) -> int:
    from gateway.demo import demo

    return demo()
