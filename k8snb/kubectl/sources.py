"""Sources: what `-f` names, as documents.

Interface: `documents(session, args)`, each `Item` with its kind, object and place.
The rule not to break: a document that cannot be read is reported with its line, and does not hide those that can.
Source: `cli-runtime/pkg/resource/visitor.go`.
"""

from __future__ import annotations

import glob
import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from k8snb.apimachinery import manifest
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.manifest import Document, ManifestError
from k8snb.apimachinery.manifest_identity import check_identity
from k8snb.apimachinery.meta import Object, get_path
from k8snb.kubectl.formats import to_yaml
from k8snb.kubectl.grammar import Arguments, nearest
from k8snb.kubectl.output import KubectlError
from k8snb.kubectl.refusals import mistaken
from k8snb.kubectl.session import Session
from k8snb.kustomize import Built, KustomizeError, build

STDIN = "STDIN"
_SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Item:
    """One object of a manifest. `namespace` is where it belongs: its own, or the session's."""

    kind: Kind
    object: Object
    namespace: str
    document: Document
    source: str


def fetch(url: str) -> str:
    """What lies at an http(s) URL. Raises KubectlError."""
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            text: str = answer.read().decode("utf-8")
            return text
    except urllib.error.HTTPError as error:
        error.close()
        said = f"{error.code} {error.reason}"
        raise KubectlError(
            f'error: unable to read URL "{url}", server reported {said}, status code={error.code}'
        ) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise KubectlError(f'error: Get "{url}": {getattr(error, "reason", error)}') from None


def documents(session: Session, args: Arguments) -> tuple[list[Item], list[KubectlError]]:
    """The objects that `-f` names, in order, and what was wrong with the others."""
    items: list[Item] = []
    errors: list[KubectlError] = []
    for source, text in texts(session, args):
        try:
            loaded = manifest.load(text, source)
        except ManifestError as error:
            errors.append(mistaken(error, source))
            continue
        for document in loaded:
            try:
                items.append(_item(session, args, document, source))
            except KubectlError as failure:
                errors.append(failure)
    if not items and not errors:
        raise KubectlError("error: no objects passed to " + args.verb)
    return items, errors


def texts(session: Session, args: Arguments) -> Iterator[tuple[str, str]]:
    """The name and the text of each source."""
    if args.texts("filename") and args.text("kustomize"):
        raise KubectlError("error: only one of -f or -k can be specified")
    if args.text("kustomize"):
        yield from _kustomization(session, args.text("kustomize"))
    for name in args.texts("filename"):
        if name == "-":
            if session.stdin is None:
                raise KubectlError("error: -f - reads the cell's body, and there is none")
            yield STDIN, session.stdin
        elif name.startswith(("http://", "https://")):
            yield name, session.open_url(name)
        else:
            for path in _files(name, recursive=args.on("recursive")):
                yield str(path), _text(path)


def _kustomization(session: Session, directory: str) -> Iterator[tuple[str, str]]:
    """The objects of a kustomization, each as a source of its own."""
    built = built_from(directory)
    session.warnings += built.warnings
    for obj in built.objects:
        yield directory, to_yaml(obj)


def built_from(directory: str, *, restricted: bool = True, helm: bool = False) -> Built:
    """What a kustomization describes. Raises KubectlError."""
    try:
        return build(directory, restricted=restricted, helm=helm)
    except KustomizeError as error:
        raise KubectlError(f"error: {error}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise KubectlError(f"error: open {path}: {str(error.strerror).lower()}", source=str(path)) from None
    except UnicodeDecodeError:
        raise KubectlError(f"error: error parsing {path}: this is no text in UTF-8", source=str(path)) from None


def _files(name: str, *, recursive: bool) -> list[Path]:
    """The files that a word means: one, all manifests of a directory, or what a pattern finds."""
    path = Path(name).expanduser()
    found = [path] if path.exists() else sorted(map(Path, glob.glob(str(path), include_hidden=True)))
    if not found:
        raise KubectlError(f'error: the path "{name}" does not exist')
    return [file for each in found for file in (_manifests(each, recursive) if each.is_dir() else [each])]


def _manifests(directory: Path, recursive: bool) -> list[Path]:
    found = directory.rglob("*") if recursive else directory.glob("*")
    files = sorted(file for file in found if file.suffix in _SUFFIXES and file.is_file())
    if not files:
        raise KubectlError(f"error: error reading [{directory}]: recognized file extensions are [.json .yaml .yml]")
    return files


def _item(session: Session, args: Arguments, document: Document, source: str) -> Item:
    whole = "validate" in args.values and not args.text("subresource")
    complaint = check_identity(document, whole=whole)
    if complaint is not None:
        line = complaint.line or document.line
        raise KubectlError(f"error: {complaint.message} (line {line})", line=line, source=source)
    kind = _kind(session, document, source)
    return Item(kind, document.object, _namespace(session, args, kind, document, source), document, source)


def _namespace(session: Session, args: Arguments, kind: Kind, document: Document, source: str) -> str:
    own: str = get_path(document.object, "metadata.namespace", "") or ""
    if not kind.namespaced:
        return ""
    if own and "namespace" in args.given and own != session.namespace:
        line = document.line_of("metadata.namespace")
        raise KubectlError(
            f'error: the namespace from the provided object "{own}" does not match the namespace '
            f"\"{session.namespace}\". You must pass '--namespace={own}' to perform this operation.",
            line=line,
            source=source,
        )
    return own or session.namespace


def _kind(session: Session, document: Document, source: str) -> Kind:
    obj = document.object
    api_version, word = obj["apiVersion"], obj["kind"]
    kinds = session.client.kinds()
    for kind in kinds:
        if (kind.api_version, kind.kind) == (api_version, word):
            return kind
    homes = [kind.api_version for kind in kinds if kind.kind == word]
    where = f" ({word} is in {' and '.join(homes)})" if homes else nearest(word, [kind.kind for kind in kinds])
    line = document.line_of("apiVersion" if homes else "kind") or document.line
    name, namespace = get_path(obj, "metadata.name", ""), get_path(obj, "metadata.namespace", "")
    raise KubectlError(
        f'error: resource mapping not found for name: "{name}" namespace: "{namespace}" from "{source}": '
        f'no matches for kind "{word}" in version "{api_version}"{where} (line {line})',
        line=line,
        source=source,
    )
