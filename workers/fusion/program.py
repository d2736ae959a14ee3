"""The gradients of K networks as one flat program of batched operations.

`torch.func.vmap(grad(loss))` says what is computed; tracing it once for a number of
members leaves only the batched operations themselves, without the interpreters and the
autograd graph, whose cost a small network would feel at every step.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call, grad, vmap
from torch.fx.experimental.proxy_tensor import make_fx

from workers.fusion.batches import Batch, rebuild
from workers.fusion.faults import PackError, explained, is_out_of_memory
from workers.fusion.packable import Packable

Stacks = dict[str, Tensor]
"""A tensor by name, each with the members on its leading axis."""

_aten = torch.ops.aten
_SAME_SHAPE = {_aten.expand.default, _aten.view.default, _aten._unsafe_view.default}


class Program:
    """The computation that all members of a pack share.

    Args:
        packable: what is trained.
        template: one member's network, on the device; its own tensors are not used.
        like: a batch of one step, whose structure all batches have.
    """

    def __init__(self, packable: Packable, template: nn.Module, like: Batch) -> None:
        check_packable(template)
        self._packable = packable
        self._template = template
        self._like = like
        self._traced: dict[Hashable, fx.GraphModule] = {}
        self.state_names = _state_names(template)

    def gradients(
        self, parameters: Stacks, constants: Stacks, batch: Sequence[Tensor], *, shared: bool
    ) -> Stacks:
        """The gradient of every member's loss.

        Args:
            parameters: (K, ...) each.
            constants: the networks' buffers and frozen parameters: (K, ...) each.
            batch: the leaves of one batch for all, or of one a member: (K, ...) each.
            shared: which of the two.

        Raises:
            PackError: when the computation cannot be packed.
        """
        size = next(iter(parameters.values())).shape[0]
        key = (size, shared, *(tensor.shape for tensor in batch))  # a trace holds for its shapes
        traced = self._traced.get(key)
        if traced is None:
            traced = self._trace(parameters, constants, batch, shared=shared)
            self._traced[key] = traced
        gradients: Stacks = traced(parameters, constants, list(batch))
        return gradients

    def metrics_of(self, tensors: Stacks, evaluation: Batch) -> Mapping[str, Tensor]:
        """The metrics of one network with these tensors."""
        self._template.eval()
        return self._packable.metrics(self._model_with(tensors), evaluation)

    def _loss(self, parameters: Stacks, constants: Stacks, batch: list[Tensor]) -> Tensor:
        model = self._model_with({**parameters, **constants})
        return self._packable.loss(model, rebuild(self._like, batch))

    def _model_with(self, tensors: Stacks) -> Callable[..., Any]:
        return lambda *inputs: functional_call(self._template, tensors, inputs)

    def _trace(
        self, parameters: Stacks, constants: Stacks, batch: Sequence[Tensor], *, shared: bool
    ) -> fx.GraphModule:
        self._template.train()
        stacked = vmap(grad(self._loss), in_dims=(0, 0, None if shared else 0))
        try:
            traced = make_fx(lambda p, c, b: stacked(p, c, b))(parameters, constants, list(batch))
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise explained(error) from error
        return _without_no_ops(traced)


def check_packable(model: nn.Module) -> None:
    """Refuse layers that cannot be packed.

    Raises:
        PackError: naming the layer.
    """
    for name, layer in model.named_modules():
        kind = type(layer).__name__
        if getattr(layer, "track_running_stats", False):
            raise PackError(
                f"layer {name!r} ({kind}) updates running statistics in place, which packed "
                "members cannot: use GroupNorm or LayerNorm, or track_running_stats=False, "
                "or set pack: off"
            )
        if isinstance(layer, nn.modules.dropout._DropoutNd) and layer.p > 0:
            raise PackError(
                f"layer {name!r} ({kind}) draws random numbers at every step, so that a packed "
                "member would not equal itself trained alone: set its p to 0, or set pack: off"
            )
        if isinstance(layer, nn.RNNBase):
            raise PackError(
                f"layer {name!r} ({kind}) is one operation that PyTorch cannot batch over "
                "parameters: write the recurrence with cells (nn.LSTMCell), or set pack: off"
            )


def _state_names(network: nn.Module) -> dict[str, str]:
    """For each name in the network's `state_dict`, the one name of that tensor in a stack."""
    shared = {
        **dict(network.named_parameters(remove_duplicate=False)),
        **dict(network.named_buffers(remove_duplicate=False)),
    }
    first = {id(t): name for name, t in reversed([*shared.items()])}
    return {name: first[id(shared[name])] for name in network.state_dict() if name in shared}


def _without_no_ops(traced: fx.GraphModule) -> fx.GraphModule:
    """Drop views that change no shape; each costs microseconds at every step."""
    for node in list(traced.graph.nodes):
        if node.op != "call_function" or node.target not in _SAME_SHAPE:
            continue
        source = node.args[0]
        if source.meta["val"].shape == node.meta["val"].shape:
            node.replace_all_uses_with(source)
            traced.graph.erase_node(node)
    traced.graph.eliminate_dead_code()
    traced.recompile()
    return traced
