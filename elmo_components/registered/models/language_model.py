"""The AllenNLP `Model` that pre-trains a biLM."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Optional, Union

import torch
from allennlp.common import Lazy
from allennlp.common.checks import ConfigurationError
from allennlp.data import TextFieldTensors, Vocabulary
from allennlp.models import Model
from allennlp.nn import InitializerApplicator

from elmo_components import checkpoints
from elmo_components.characters import CharacterMapper
from elmo_components.checkpoints import Checkpoint
from elmo_components.modules.bilm import BiLm
from elmo_components.modules.lstm_state import LstmState
from elmo_components.pretraining.language_model import LanguageModel
from elmo_components.registered.models.processes import exclude_from_ddp, per_process
from elmo_components.registered.models.softmax import NextWordSoftmax
from elmo_components.registered.models.teachers import Teacher
from elmo_components.registered.models.word_teacher import WordTeacher
from elmo_components.registered.token_embedders.architectures import read_architecture
from elmo_components.registered.token_embedders.spelling import check_spelling
from elmo_components.registered.training.perplexity import BidirectionalPerplexity

__all__ = ["ElmoLanguageModel"]

PRECISIONS = ("float32", "bfloat16")


@Model.register("elmo_language_model")
class ElmoLanguageModel(Model):
    """
    Trains a biLM to predict the next word in both directions (Peters et al. 2018, section 3.1).

    Its perplexity is exact, over the whole vocabulary, for every softmax. The reader is
    `elmo_corpus`. In distributed training the gradients are those of one process with all batches.

    Registered as a `Model` with name "elmo_language_model".

    # Parameters

    vocab : `Vocabulary`
        The words to predict, in `target_namespace`, the most frequent first.
    architecture : `Union[str, Dict[str, Any]]`
        The biLM's architecture: a name such as "english" or "original", the path of a published
        `options.json`, or its contents. See `read_architecture`.
    pretrained_file : `Optional[str]`
        A checkpoint to start from, in any format of `checkpoints.load`. For its softmax see
        `LanguageModel.load_checkpoint`. AllenNLP drops this key when it loads an archive. `None`
        for random weights.
    softmax : `Optional[Lazy[NextWordSoftmax]]`
        "full" (the default), "sampled" or "adaptive".
    dropout : `float`
        See `LanguageModel`; bilm-tf's configurations have 0.1.
    precision : `str`
        "float32", or "bfloat16" to train in torch's autocast; weights and evaluation are float32.
    recompute_gates : `bool`
        See `ElmoLstm`.
    target_namespace : `str`
        The reader's: the vocabulary's namespace of the words to predict.
    teacher : `Optional[Teacher]`
        Gives vectors that the biLM also learns to predict in training. The reader must have the
        teacher's `teacher_indexer`. `None` for the biLM's loss alone.
    word_teacher : `Optional[WordTeacher]`
        Static word vectors that the character encoder also learns to predict in training.
    initializer : `Optional[InitializerApplicator]`
        Sets parameters by regular expressions over their names, after `pretrained_file` is read.
    **kwargs
        `Model`'s own: `regularizer` (a penalty), `serialization_dir` and `ddp_accelerator`.

    # Raises

    `ConfigurationError` for invalid settings, or a vocabulary without words or unknown word; and
    `CheckpointError` for an unreadable checkpoint or another architecture.
    """

    default_predictor = "elmo_language_model"

    def __init__(
        self,
        vocab: Vocabulary,
        architecture: Union[str, dict[str, Any]],
        pretrained_file: Optional[str] = None,
        softmax: Optional[Lazy[NextWordSoftmax]] = None,
        dropout: float = 0.0,
        precision: str = "float32",
        recompute_gates: bool = False,
        target_namespace: str = "vocab",
        teacher: Optional[Teacher] = None,
        word_teacher: Optional[WordTeacher] = None,
        initializer: Optional[InitializerApplicator] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(vocab, **kwargs)
        if precision not in PRECISIONS:
            raise ConfigurationError(
                f"precision must be one of {', '.join(PRECISIONS)}; found {precision!r}"
            )
        words = _words(vocab, target_namespace)
        config = read_architecture(architecture, vocab)
        try:
            bilm = BiLm(config, recompute_gates=recompute_gates)
            built: Any = (softmax or Lazy(NextWordSoftmax)).construct(
                char_cnn=bilm.char_cnn,
                hidden_size=config.lstm.hidden_size,
                # (num_words, characters)
                word_ids=CharacterMapper.of(config.char_cnn).batch_ids([words])[0],
            )
            self.language_model = LanguageModel(bilm, built, dropout=dropout)
            self.distillation = None if teacher is None else teacher.distillation(config)
            self.word_distillation = (
                None if word_teacher is None else word_teacher.distillation(config, words)
            )
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
        if pretrained_file is not None:
            checkpoint = checkpoints.load(pretrained_file, config, softmax=True)
            self.language_model.load_checkpoint(checkpoint, words)
        self.target_namespace = target_namespace
        # the states after the last batch of streams, for evaluation and training (`self.training`)
        self._states: dict[bool, LstmState] = {}
        self._is_spelling_known = False
        self._precision = precision
        self._teacher = teacher
        self._word_teacher = word_teacher
        # attributes, where `elmo_resume` finds metrics
        self._teacher_loss = None if teacher is None else teacher.mean_loss
        self._word_teacher_loss = None if word_teacher is None else word_teacher.mean_loss
        self._perplexity = BidirectionalPerplexity(
            vocab.get_token_index(vocab._oov_token, target_namespace)
        )
        if initializer is not None:
            initializer(self)
        names = getattr(self.language_model.softmax, "exchanged", [])
        exclude_from_ddp(self, [f"language_model.softmax.{name}" for name in names])

    def forward(
        self,
        inputs: TextFieldTensors,
        targets: TextFieldTensors,
        backward_inputs: TextFieldTensors,
        backward_targets: TextFieldTensors,
        stream: Optional[torch.Tensor] = None,
        continues: Optional[torch.Tensor] = None,
        teacher_inputs: Optional[TextFieldTensors] = None,
        share: Optional[dict[str, torch.Tensor]] = None,
    ) -> dict[str, torch.Tensor]:
        """
        # Parameters

        inputs, backward_inputs : `TextFieldTensors`
            int64, (batch, time, 50): the characters that each direction reads, in its order.
        targets, backward_targets : `TextFieldTensors`
            int64, (batch, time): the vocabulary's index of the word after each.
        stream : `Optional[torch.Tensor]`
            int64, (batch,): the stream of each row: 0, 1, ....
        continues : `Optional[torch.Tensor]`
            bool, (batch,): whether each row starts from its state after the last batch. `None` for
            zeros; no state is stored then.
        teacher_inputs : `Optional[TextFieldTensors]`
            The sentences' words, for a teacher in training.
        share : `Optional[Dict[str, torch.Tensor]]`
            What this batch has of a larger one; see `GlobalBatchLoader`. `None` to exchange the
            numbers of tokens with the other processes.

        # Returns

        `Dict[str, torch.Tensor]`
            "loss", the mean of -log p over both directions' targets, in nats, plus in training the
            weighted means of the teachers' losses; "token_losses", (batch, time, 2), -log p of each
            target. Of several shares, the mean of the losses is the batch's loss.

        # Raises

        `ConfigurationError` for streams out of order, and characters that the reader's indexer
        spells otherwise than the architecture, see `check_spelling`.
        """
        if stream is not None and stream.tolist() != list(range(len(stream))):
            raise ConfigurationError(
                f"A batch must have each stream once, in order; found {stream.tolist()}. Set the "
                "data loader's batch_size to the reader's num_streams, without shuffling"
            )
        # (2, batch, time, characters), (2, batch, time)
        character_ids = torch.stack([_only(inputs), _only(backward_inputs)])
        if not self._is_spelling_known:
            config = self.language_model.bilm.config.char_cnn
            self._is_spelling_known = check_spelling(character_ids, config)
        words = torch.stack([_only(targets), _only(backward_targets)])
        # (batch, time)
        mask = (character_ids[0] > 0).any(dim=-1)
        lengths = mask.sum(dim=1)
        with self._autocast(character_ids.device.type):
            prediction = self.language_model(
                character_ids,
                words,
                lengths,
                self._state(continues),
                None if share is None else share["seed"],
            )
            teacher_loss = self._teachers_loss(
                prediction.layers, lengths, teacher_inputs, character_ids[0], share
            )
        if continues is not None:
            self._states[self.training] = LstmState(*(part.detach() for part in prediction.state))
        self._perplexity(prediction.token_losses, words, mask)
        tokens = per_process(mask.sum()) if share is None else share["tokens"]
        return {
            "loss": prediction.loss / (2 * tokens) + teacher_loss,
            "token_losses": prediction.token_losses.permute(1, 2, 0),
        }

    def next_words(
        self, inputs: TextFieldTensors, backward_inputs: TextFieldTensors
    ) -> torch.Tensor:
        """
        Returns log p of every word after each direction's last input, in nats: (2, batch,
        num_words). For the parameters see `forward`.
        """
        character_ids = torch.stack([_only(inputs), _only(backward_inputs)])
        # (batch,)
        lengths = (character_ids[0] > 0).any(dim=-1).sum(dim=1)
        bilm = self.language_model.bilm
        layers, _ = bilm.lstm.directions(bilm.char_cnn(character_ids), lengths)
        # (2, batch, hidden_size)
        last = layers[-1][:, torch.arange(len(lengths), device=lengths.device), lengths - 1]
        scores = self.language_model.softmax.log_probabilities(last.flatten(0, 1))
        return scores.view(*last.shape[:2], -1)

    def get_metrics(self, reset: bool = False) -> dict[str, float]:
        """
        Returns `BidirectionalPerplexity`'s metrics, and in training "teacher_loss" and
        "word_teacher_loss", the means over batches of the teachers' unweighted losses, since the
        last reset.
        """
        metrics = self._perplexity.get_metric(reset)
        for name in ("teacher_loss", "word_teacher_loss"):
            mean = getattr(self, f"_{name}")
            if mean is not None and mean._count:
                metrics[name] = mean.get_metric(reset)
        return metrics

    def to_checkpoint(self) -> Checkpoint:
        """See `LanguageModel.to_checkpoint`."""
        return self.language_model.to_checkpoint(_words(self.vocab, self.target_namespace))

    def carried(self) -> dict[str, Any]:
        """Returns the state between training batches that is not in `state_dict`."""
        streams = self._states.get(True)
        return {"streams": None if streams is None else tuple(streams)}

    def carry(self, carried: dict[str, Any]) -> None:
        """Restores what `carried` returned."""
        if carried["streams"] is not None:
            device = next(self.parameters()).device
            self._states[True] = LstmState(*(part.to(device) for part in carried["streams"]))

    def _autocast(self, device_type: str) -> AbstractContextManager:
        if self._precision == "bfloat16" and self.training:
            return torch.autocast(device_type, dtype=torch.bfloat16)
        # not `enabled=False`, which would override the trainer's `use_amp`
        return nullcontext()

    def _teachers_loss(
        self,
        layers: list[torch.Tensor],
        lengths: torch.Tensor,
        inputs: Optional[TextFieldTensors],
        character_ids: torch.Tensor,
        share: Optional[dict[str, torch.Tensor]],
    ) -> torch.Tensor:
        """Returns the weighted losses of the teachers, and counts them; 0 in evaluation."""
        loss = lengths.new_zeros((), dtype=torch.float32)
        if not self.training:
            return loss
        if self._teacher is not None and self.distillation is not None:
            loss = loss + self._teacher.loss(
                self.distillation, layers, lengths, inputs, character_ids, share
            )
        if self._word_teacher is not None and self.word_distillation is not None:
            char_cnn = self.language_model.bilm.char_cnn
            loss = loss + self._word_teacher.loss(self.word_distillation, char_cnn)
        return loss

    def _state(self, continues: Optional[torch.Tensor]) -> Optional[LstmState]:
        if continues is None or not bool(continues.any()):
            return None
        state = self._states.get(self.training)
        rows = 0 if state is None else state.hidden.size(2)
        if state is None or rows != len(continues):
            raise ConfigurationError(
                f"A batch of {len(continues)} rows cannot continue a batch of {rows} rows. Set the "
                "data loader's batch_size to the reader's num_streams, without shuffling"
            )
        # (batch, 1)
        continued = continues.unsqueeze(-1)
        return LstmState(*(part * continued for part in state))


def _words(vocab: Vocabulary, namespace: str) -> list[str]:
    words = vocab.get_index_to_token_vocabulary(namespace)
    # AllenNLP gives an unknown namespace these two words
    if set(words.values()) <= {vocab._padding_token, vocab._oov_token}:
        raise ConfigurationError(
            f"The vocabulary has no words in the namespace {namespace!r}. Write one with "
            '`elmo vocabulary` and set `vocabulary: {type: "from_files", directory: ..., '
            'oov_token: "<UNK>"}`'
        )
    if vocab._oov_token not in words.values():
        raise ConfigurationError(
            f"The namespace {namespace!r} lacks the unknown word {vocab._oov_token!r}. "
            'Set its `oov_token`, "<UNK>" for a folder that `elmo vocabulary` wrote'
        )
    return [words[number] for number in range(len(words))]


def _only(tensors: TextFieldTensors) -> torch.Tensor:
    # one indexer with one key
    ((indexed),) = tensors.values()
    ((tensor),) = indexed.values()
    return tensor
