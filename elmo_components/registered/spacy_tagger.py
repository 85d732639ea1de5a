"""A spaCy pipe that runs an AllenNLP tagger."""

import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Optional, Union

from allennlp.common.checks import ConfigurationError
from allennlp.common.plugins import import_plugins
from allennlp.models import Model
from allennlp.models.archival import load_archive
from spacy.scorer import Scorer, get_ner_prf
from spacy.tokens import Doc, Span, Token
from spacy.training import Example

from elmo_components.embedding.batches import BATCH_SIZE, batches_by_length
from elmo_components.integrations.spacy.forks import use_one_thread_in_a_fork
from elmo_components.integrations.spacy.sentences import sentences_of, windows
from elmo_components.registered.scored_tagger import ScoredTagger, Tagged, check_model

__all__ = ["ElmoTagger", "check_archive", "load_tagger"]

FILE = "model.tar.gz"
# The label of entities of taggers whose tags have no type, such as "B"; spaCy drops those without.
UNTYPED = "ENTITY"
Exclude = Iterable[str]


class ElmoTagger:
    """
    A spaCy pipe that runs an AllenNLP tagger on a document's own tokens.

    If every tag of the model is "O" or a span's, such as "B-person", it adds the predicted entities
    to `doc.ents`. It changes no entity that another pipe has set, and drops those that overlap
    with one. Entities of tags without a type, such as "B", have the label "ENTITY". Other tags
    become `token.tag_`, and `token.pos_` if all are universal parts of speech.

    `span._.elmo_score` of an added entity is its probability under the model: the sum of the
    probabilities of all taggings of the sentence that have an entity of the same tokens and the
    same tags. A tagging's probability is the softmax of the score that decoding maximizes: with a
    CRF, over all taggings that its constraints allow; without one, the product of the tags'
    probabilities. `token._.elmo_score` is likewise the probability of a tag that is no span's.
    Both are `None` for other spans and tokens, and for a model without logits.

    See `sentences_of` for what is a sentence. The archive's weights are read at the first use.

    # Parameters

    archive : `Union[str, os.PathLike, None]`
        A `model.tar.gz` of AllenNLP. `None` for a pipe that is loaded later, with `from_disk` or
        `from_bytes`. A file that does not exist is an error at the first use only: a saved
        pipeline brings its own copy.
    name : `str`
        The pipe's name in its pipeline.
    batch_size : `int`
        The number of sentences tagged at once; fewer if they have more than 62 tokens.
    cuda_device : `int`
        The GPU to run on; -1 for the CPU.

    # Raises

    `ConfigurationError` for a file that is no AllenNLP archive, or the archive of another model
    than a tagger, and for a batch size below 1.
    """

    def __init__(
        self,
        archive: Union[str, os.PathLike, None],
        *,
        name: str = "elmo_tagger",
        batch_size: int = BATCH_SIZE,
        cuda_device: int = -1,
    ) -> None:
        if batch_size < 1:
            raise ConfigurationError(f"batch_size must be 1 or more; found {batch_size}")
        self.name = name
        self._batch_size = batch_size
        self._cuda_device = cuda_device
        self._archive = None if archive is None else Path(archive)
        self._bytes: Optional[bytes] = None
        self._tagger: Optional[ScoredTagger] = None
        for extended in (Span, Token):
            if not extended.has_extension("elmo_score"):
                extended.set_extension("elmo_score", default=None)
        if self._archive is not None and self._archive.exists():
            check_archive(self._archive)

    def __call__(self, doc: Doc) -> Doc:
        """Tags one document, which it changes and returns."""
        self._tag([doc])
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Tags a stream of documents, and reads at most `batch_size` of them ahead."""
        for docs in windows(stream, batch_size=batch_size):
            self._tag(docs)
            yield from docs

    def score(self, examples: Iterable[Example], **_: Any) -> dict[str, Any]:
        """Returns spaCy's scores of what the model predicts: of entities, or of tags."""
        if self.tagger.has_spans:
            return get_ner_prf(examples)
        return Scorer.score_token_attr(examples, "tag")

    def to_disk(self, path: Union[str, os.PathLike], *, exclude: Exclude = ()) -> None:
        """Copies the archive into the folder `path`."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / FILE
        if self._bytes is not None:
            target.write_bytes(self._bytes)
        elif not (target.exists() and target.samefile(self._found())):
            shutil.copyfile(self._found(), target)

    def from_disk(self, path: Union[str, os.PathLike], *, exclude: Exclude = ()) -> "ElmoTagger":
        """Loads the archive in the folder `path`."""
        self._archive, self._bytes = Path(path, FILE), None
        self._tagger = load_tagger(self._found(), cuda_device=self._cuda_device)
        return self

    def to_bytes(self, *, exclude: Exclude = ()) -> bytes:
        """Returns the archive's bytes."""
        return self._bytes if self._bytes is not None else self._found().read_bytes()

    def from_bytes(self, data: bytes, *, exclude: Exclude = ()) -> "ElmoTagger":
        """Loads the archive with these bytes."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, FILE)
            path.write_bytes(data)
            self._tagger = load_tagger(path, cuda_device=self._cuda_device)
        self._bytes = data
        return self

    @property
    def tagger(self) -> ScoredTagger:
        """The model, which is loaded if it was not yet."""
        if self._tagger is None:
            self._tagger = load_tagger(self._found(), cuda_device=self._cuda_device)
        return self._tagger

    def _found(self) -> Path:
        if self._archive is None:
            raise ConfigurationError(
                f'The pipe "{self.name}" has no model. Add it with an archive: '
                f'nlp.add_pipe("elmo_tagger", config={{"archive": "model.tar.gz"}})'
            )
        if not self._archive.exists():
            raise FileNotFoundError(
                f'The archive of the pipe "{self.name}" does not exist: {self._archive}. Give it '
                "the path of a model.tar.gz that `allennlp train` wrote"
            )
        return self._archive

    def _tag(self, docs: list[Doc]) -> None:
        use_one_thread_in_a_fork()
        sentences = [(doc, indices) for doc in docs for indices in sentences_of(doc)]
        found: dict[int, list[Tagged]] = {id(doc): [] for doc in docs}
        for chosen in batches_by_length([len(one) for _, one in sentences], self._batch_size):
            batch = [sentences[place] for place in chosen]
            words = [[doc[index].text for index in indices] for doc, indices in batch]
            for (doc, indices), tagged in zip(batch, self.tagger.predict(words)):
                found[id(doc)] += [
                    Tagged(one.label, indices[one.first], indices[one.last], one.score)
                    for one in tagged
                ]
        for doc in docs:
            if self.tagger.has_spans:
                _set_entities(doc, found[id(doc)])
            else:
                _set_tags(doc, found[id(doc)], is_universal=self.tagger.is_universal)


def load_tagger(path: Path, *, cuda_device: int) -> ScoredTagger:
    """
    Returns the tagger of an archive.

    # Raises

    `ConfigurationError` for a file that is no AllenNLP archive, or the archive of another model.
    """
    check_archive(path)
    archive = load_archive(str(path), cuda_device=cuda_device)
    check_model(type(archive.model), path)
    return ScoredTagger(archive.model, archive.validation_dataset_reader)


def check_archive(path: Path) -> None:
    """
    Checks that a file is the archive of a tagger, without reading its weights.

    # Raises

    `ConfigurationError` that says what the file is instead.
    """
    wanted = f"{path} must be a model.tar.gz of a tagger, as `allennlp train` writes it"
    if path.is_dir():
        raise ConfigurationError(f"{wanted}; found a folder. Name the file in it")
    try:
        with tarfile.open(path) as archive:
            member = archive.getmember("config.json")
            # a link or a folder has no contents
            name = json.load(archive.extractfile(member) or io.BytesIO())["model"]["type"]
    except (tarfile.TarError, EOFError, KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{wanted}; found another kind of file") from error
    _import_plugins()
    model_class, _ = Model.resolve_class_name(name)
    # AllenNLP's own constructors, such as "from_archive", tell the class when it is loaded
    if model_class is not Model:
        check_model(model_class, path)


@cache
def _import_plugins() -> None:
    """Registers what an archive can name, as AllenNLP's commands do; once, since it takes time."""
    import_plugins()


def _set_entities(doc: Doc, found: list[Tagged]) -> None:
    """Adds entities where there are none, and marks all other tokens as outside."""
    # "B" without a type is how spaCy blocks a token
    taken = {token.i for token in doc if token.ent_type or token.ent_iob_ == "B"}
    entities = []
    for one in sorted(found, key=lambda one: one.first):
        if taken.isdisjoint(range(one.first, one.last + 1)):
            entities.append(Span(doc, one.first, one.last + 1, label=one.label or UNTYPED))
            entities[-1]._.elmo_score = one.score
            taken.update(range(one.first, one.last + 1))
    outside = [
        doc[token.i : token.i + 1] for token in doc if not token.ent_iob and token.i not in taken
    ]
    doc.set_ents(entities, outside=outside, default="unmodified")


def _set_tags(doc: Doc, found: list[Tagged], *, is_universal: bool) -> None:
    for one in found:
        token = doc[one.first]
        token.tag_ = one.label
        if is_universal:
            token.pos_ = one.label
        token._.elmo_score = one.score
