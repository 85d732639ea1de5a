"""The AllenNLP `Model` that pre-trains a biLM."""

from typing import Any, Optional

import torch
from allennlp.common.checks import ConfigurationError
from allennlp.common.util import is_distributed
from allennlp.data import TextFieldTensors, Vocabulary
from allennlp.models import Model
from allennlp.nn import InitializerApplicator, RegularizerApplicator
from allennlp.nn.util import dist_reduce_sum

from elmo_components import checkpoints
from elmo_components.characters import CharacterMapper
from elmo_components.checkpoints import Checkpoint
from elmo_components.config import ElmoConfig
from elmo_components.modules.bilm import BiLm
from elmo_components.modules.lstm import LstmState
from elmo_components.pretraining.language_model import LanguageModel
from elmo_components.registered.models.softmax import Full, NextWordSoftmax, Sampled
from elmo_components.registered.models.teachers import Teacher
from elmo_components.registered.training.perplexity import BidirectionalPerplexity

__all__ = ["ElmoLanguageModel"]

PRECISIONS = ("float32", "bfloat16")


@Model.register("elmo_language_model")
class ElmoLanguageModel(Model):
    """
    Trains a biLM to predict the next word in both directions (Peters et al. 2018, section 3.1), and
    measures its perplexity: exactly, over the whole vocabulary, whatever softmax trains it. The
    reader is `elmo_corpus`.

    In distributed training the gradients are the mean over the processes of those of each batch's
    mean loss, so a token counts for less in a batch that has more tokens than the other processes'.

    Registered as a `Model` with name "elmo_language_model".

    # Parameters

    vocab : `Vocabulary`
        The words to predict, in `target_namespace`, the most frequent first.
    architecture : `Dict[str, Any]`
        The biLM's numbers, in the form of a published `options.json`.
    pretrained_file : `Optional[str]`
        What to start from, in any format that `checkpoints.load` reads: the biLM, and the rows of
        its softmax as `LanguageModel.load_checkpoint` takes them. AllenNLP drops this key when it
        rebuilds a model from an archive. `None` for random weights.
    softmax : `Optional[NextWordSoftmax]`
        "full", "sampled" or "adaptive"; `None` for "full".
    dropout : `float`
        See `LanguageModel`; bilm-tf's configurations have 0.1.
    precision : `str`
        "float32", or "bfloat16" to train with products of bfloat16 on a CPU, forward and backward,
        by torch's autocast: the weights, and what lies between the products, stay float32, and so
        does evaluation. On a GPU AllenNLP's trainer has `use_amp` for it.
    recompute_gates : `bool`
        See `ElmoLstm`.
    target_namespace : `str`
        As the reader's.
    teacher : `Optional[Teacher]`
        What the biLM learns from beside its own loss, in training; the reader must have its
        `teacher_indexer`. `None` for the biLM's loss alone.

    # Raises

    `ConfigurationError` for sparse gradients in distributed training, an architecture that cannot
    be, or a vocabulary without words or without the unknown one; `CheckpointError` for a file that
    cannot be read or does not hold the architecture.
    """

    def __init__(
        self,
        vocab: Vocabulary,
        architecture: dict[str, Any],
        pretrained_file: Optional[str] = None,
        softmax: Optional[NextWordSoftmax] = None,
        dropout: float = 0.0,
        precision: str = "float32",
        recompute_gates: bool = False,
        target_namespace: str = "vocab",
        teacher: Optional[Teacher] = None,
        initializer: Optional[InitializerApplicator] = None,
        regularizer: Optional[RegularizerApplicator] = None,
    ) -> None:
        super().__init__(vocab, regularizer)  # type: ignore[arg-type]
        if precision not in PRECISIONS:
            raise ConfigurationError(
                f"precision must be one of {', '.join(PRECISIONS)}; found {precision!r}"
            )
        if is_distributed() and isinstance(softmax, Sampled) and softmax.sparse:
            raise ConfigurationError(
                "A sampled softmax must not have sparse gradients in distributed training, which "
                "torch takes there from its own embeddings only; set sparse to false"
            )
        words = _words(vocab, target_namespace)
        try:
            config = ElmoConfig.from_options(architecture)
            bilm = BiLm(config, recompute_gates=recompute_gates)
            # (num_words, characters)
            word_ids = CharacterMapper.of(config.char_cnn).batch_ids([words])[0]
            built = (softmax or Full()).build(bilm.char_cnn, config.lstm.hidden_size, word_ids)
            self.language_model = LanguageModel(bilm, built, dropout=dropout)
            self.distillation = None if teacher is None else teacher.distillation(config)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
        if pretrained_file is not None:
            checkpoint = checkpoints.load(pretrained_file, config, softmax=True)
            self.language_model.load_checkpoint(checkpoint, words)
        self._target_namespace = target_namespace
        # what the next batch of `elmo_corpus`'s streams goes on from, in training and, under False,
        # in evaluation, which may come between
        self._states: dict[bool, LstmState] = {}
        self._teacher = teacher
        # float64, (2,): the sum of the teacher's losses since the last reset, and of how many words
        self._teacher_totals = torch.zeros(2, dtype=torch.float64)
        self._light = precision == "bfloat16"
        self._perplexity = BidirectionalPerplexity(
            vocab.get_token_index(vocab._oov_token, target_namespace)
        )
        # constants, which `DistributedDataParallel` would send around with each batch
        self._ddp_params_and_buffers_to_ignore = [name for name, _ in self.named_buffers()]
        if initializer is not None:
            initializer(self)

    def forward(
        self,
        inputs: TextFieldTensors,
        targets: TextFieldTensors,
        backward_inputs: TextFieldTensors,
        backward_targets: TextFieldTensors,
        stream: Optional[torch.Tensor] = None,
        continues: Optional[torch.Tensor] = None,
        teacher_inputs: Optional[TextFieldTensors] = None,
    ) -> dict[str, torch.Tensor]:
        """
        # Parameters

        inputs, backward_inputs : `TextFieldTensors`
            int64, (batch, time, 50): what each direction reads, in the order in which it does.
        targets, backward_targets : `TextFieldTensors`
            int64, (batch, time): the number in the vocabulary of what follows each.
        stream : `Optional[torch.Tensor]`
            int64, (batch,): which stream each row is of; they must stand in their order.
        continues : `Optional[torch.Tensor]`
            bool, (batch,): which rows go on from where the same row of the last batch ended, in
            training and in evaluation each. `None` for none, and nothing is kept.
        teacher_inputs : `Optional[TextFieldTensors]`
            The sentences' words, for a teacher. Evaluation ignores them.

        # Returns

        `Dict[str, torch.Tensor]`
            "loss", the mean of -log p over both directions' targets, in nats, to which training
            adds the weighted mean of the teacher's losses; "token_losses", (batch, time, 2), -log p
            of each target.
        """
        if stream is not None and stream.tolist() != list(range(len(stream))):
            raise ConfigurationError(
                f"A batch must have each stream once, in their order; found {stream.tolist()}. The "
                "data loader's batch_size must be the reader's num_streams, and its instances must "
                "not be shuffled"
            )
        # (2, batch, time, characters), (2, batch, time)
        character_ids = torch.stack([_only(inputs), _only(backward_inputs)])
        words = torch.stack([_only(targets), _only(backward_targets)])
        # (batch, time)
        mask = (character_ids[0] > 0).any(dim=-1)
        lengths = mask.sum(dim=1)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._light and self.training):
            prediction = self.language_model(character_ids, words, lengths, self._state(continues))
            teacher_loss = self._teacher_loss(prediction.layers, lengths, teacher_inputs)
        if continues is not None:
            self._states[self.training] = LstmState(*(part.detach() for part in prediction.state))
        self._perplexity(prediction.token_losses, words, mask)
        return {
            "loss": prediction.loss / (2 * mask.sum()).clamp(min=1) + teacher_loss,
            "token_losses": prediction.token_losses.permute(1, 2, 0),
        }

    def get_metrics(self, reset: bool = False) -> dict[str, float]:
        """
        Returns `BidirectionalPerplexity`'s metrics since the last reset, and "teacher_loss", the
        mean of the teacher's losses, unweighted, if there were any.
        """
        metrics = self._perplexity.get_metric(reset)
        total, number = self._teacher_totals.tolist()
        if number > 0:
            metrics["teacher_loss"] = total / number
        if reset:
            self._teacher_totals.zero_()
        return metrics

    def to_checkpoint(self) -> Checkpoint:
        """See `LanguageModel.to_checkpoint`."""
        return self.language_model.to_checkpoint(_words(self.vocab, self._target_namespace))

    def carried(self) -> dict[str, Any]:
        """
        Returns what of a training lies between two batches and is not in `state_dict`: the state
        that streams go on from, and the metrics' sums.
        """
        streams = self._states.get(True)
        return {
            "streams": None if streams is None else tuple(streams),
            "totals": self._perplexity.totals.clone(),
            "teacher_totals": self._teacher_totals.clone(),
        }

    def carry(self, carried: dict[str, Any]) -> None:
        """Goes on from what `carried` returned."""
        if carried["streams"] is not None:
            device = next(self.parameters()).device
            self._states[True] = LstmState(*(part.to(device) for part in carried["streams"]))
        self._perplexity.totals = carried["totals"].clone()
        # trainings from before there were teachers have none
        if "teacher_totals" in carried:
            self._teacher_totals = carried["teacher_totals"].clone()

    def _teacher_loss(
        self,
        layers: list[torch.Tensor],
        lengths: torch.Tensor,
        inputs: Optional[TextFieldTensors],
    ) -> torch.Tensor:
        """Returns the weighted mean of the teacher's losses, and counts them; 0 in evaluation."""
        if self._teacher is None or self.distillation is None or not self.training:
            return lengths.new_zeros((), dtype=torch.float32)
        if inputs is None:
            raise ConfigurationError(
                "A language model with a teacher must be given teacher_inputs in training; give "
                "the reader elmo_corpus the teacher's teacher_indexer"
            )
        weight = self.distillation.weight
        self.distillation.steps += 1
        if weight == 0.0:
            # distributed training wants a gradient of every parameter
            sums = [parameter.sum() for parameter in self.distillation.parameters()]
            return torch.stack(sums).sum() * 0.0
        losses = self.distillation(layers, lengths, self._teacher.vectors(inputs))
        # (2,)
        totals = torch.stack([losses.sum(), losses.new_tensor(len(losses))]).detach().double()
        self._teacher_totals += dist_reduce_sum(totals).cpu()
        return weight * losses.sum() / max(1, len(losses))

    def _state(self, continues: Optional[torch.Tensor]) -> Optional[LstmState]:
        if continues is None or not bool(continues.any()):
            return None
        state = self._states.get(self.training)
        if state is None or state.hidden.size(2) != len(continues):
            raise ConfigurationError(
                "A batch is to go on from the one before, which had "
                f"{0 if state is None else state.hidden.size(2)} rows and not "
                f"{len(continues)}: the data loader's batch_size must be the reader's num_streams, "
                "and its instances must not be shuffled"
            )
        # (batch, 1)
        kept = continues.unsqueeze(-1)
        return LstmState(*(part * kept for part in state))


def _words(vocab: Vocabulary, namespace: str) -> list[str]:
    words = vocab.get_index_to_token_vocabulary(namespace)
    # a namespace that was never heard of has these two
    if set(words.values()) <= {vocab._padding_token, vocab._oov_token}:
        raise ConfigurationError(
            f"The vocabulary has no words in the namespace {namespace!r}; `allennlp "
            "elmo-vocabulary` makes a folder for "
            '`vocabulary: {type: "from_files", directory: ..., oov_token: "<UNK>"}`'
        )
    if vocab._oov_token not in words.values():
        raise ConfigurationError(
            f"The namespace {namespace!r} of the vocabulary must hold the unknown word; found no "
            f"{vocab._oov_token!r}. The vocabulary's `oov_token` says which it is, "
            '"<UNK>" for a folder of `allennlp elmo-vocabulary`'
        )
    return [words[number] for number in range(len(words))]


def _only(tensors: TextFieldTensors) -> torch.Tensor:
    # one indexer of one key each
    ((indexed),) = tensors.values()
    ((tensor),) = indexed.values()
    return tensor
