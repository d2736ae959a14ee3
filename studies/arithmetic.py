"""The arithmetic study: claims and figures."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from studies import FOLDER, path_of
from studies.drawing import draw_heatmap, panels
from studies.statistics import mean_of
from sweep.study import Claim, Figure, Finding, Study

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure as Drawing

    from sweep.study.results import Results

    Cells: TypeAlias = pandas.DataFrame
    """One row an experiment: task, dataset, network, depth, activation, accuracy."""
    Rule: TypeAlias = Callable[[Cells], tuple[bool, str] | None]
    """Whether a statement holds of some experiments, and by which figures."""

_SOURCE = "Mack (2018)"
_EXPERIMENT = ["task", "dataset", "network", "depth", "activation"]
_HARD = ("dot", "reduce_sum")
_LOGICAL = ("logical_and", "logical_or", "logical_xor")
_NETWORKS = ("dense", "dense_residual", "multiply", "multiply_simple")


def cells(results: "Results") -> "Cells":
    """Our experiments, each with the best accuracy of its trials."""
    trials = results.trials
    if trials.empty:
        return trials
    named = trials.rename(columns={"network.type": "network", "network.depth": "depth"})
    named = named.rename(columns={"network.activation": "activation", "best": "accuracy"})
    named = named.reindex(columns=[*_EXPERIMENT, "accuracy"])
    named = named.astype({"activation": object})
    return _best(named.fillna({"depth": 1, "activation": "linear"}))


def published() -> "Cells":
    """The published experiments; where one has several rows, its best."""
    import pandas

    rows = pandas.read_csv(FOLDER / "arithmetic-published.csv")
    rows = rows.rename(columns={"network_type": "network", "network_depth": "depth"})
    return _best(rows.rename(columns={"network_activation": "activation"}))


def _best(rows: "Cells") -> "Cells":
    kept = rows[rows["accuracy"].notna()]
    return kept.groupby(_EXPERIMENT)["accuracy"].max().reset_index()


def _checked(rule: "Rule") -> "Callable[[Results], Finding | None]":
    """The rule applied to our experiments, and to the published ones for their figure."""

    def check(results: "Results") -> Finding | None:
        found = cells(results)
        ours = None if found.empty else rule(found)
        if ours is None:
            return None
        theirs = rule(published())
        holds, text = ours
        return Finding(bool(holds), text, published=theirs[1] if theirs else "")

    return check


def _multiply_succeeds(all_of: "Cells") -> tuple[bool, str] | None:
    part = all_of[(all_of["network"] == "multiply") & ~all_of["task"].isin(_HARD)]
    if part.empty:
        return None
    share = float((part["accuracy"] >= 0.95).mean())
    text = f"0.95 or more in {share:.0%} of {len(part)} cells; mean {mean_of(part['accuracy'])}"
    return share >= 0.8, text


def _multiply_struggles(all_of: "Cells") -> tuple[bool, str] | None:
    part = all_of[(all_of["network"] == "multiply") & all_of["task"].isin(_HARD)]
    part = part[part["dataset"] != "one_hot"]
    if part.empty:
        return None
    return part["accuracy"].max() < 0.8, _each(part)


def _on(
    network: str, task: str, datasets: tuple[str, ...], holds: "Callable[[Cells], bool]"
) -> "Rule":
    """A statement on a network's best accuracy at one task, data set by data set."""

    def rule(all_of: "Cells") -> tuple[bool, str] | None:
        part = all_of[(all_of["network"] == network) & (all_of["task"] == task)]
        part = part[part["dataset"].isin(datasets)]
        if part.empty:
            return None
        best = part.groupby(["task", "dataset"])["accuracy"].max().reset_index()
        return holds(best), _each(best)

    return rule


def _each(part: "Cells") -> str:
    rows = zip(part["task"], part["dataset"], part["accuracy"], strict=True)
    return "; ".join(f"{task}, {dataset}: {accuracy:.2f}" for task, dataset, accuracy in rows)


def _residual_is_worse(all_of: "Cells") -> tuple[bool, str] | None:
    kept = all_of[all_of["network"].isin(["dense", "dense_residual"])]
    pairs = kept.pivot_table(
        index=["task", "dataset", "depth", "activation"], columns="network", values="accuracy"
    ).reindex(columns=["dense", "dense_residual"])
    gaps = (pairs["dense"] - pairs["dense_residual"]).dropna()
    if len(gaps) < 2:
        return None
    gap = mean_of(gaps)
    return gap.low > 0, f"plain better by {gap}, over pairs of one depth, activation, task and data"


def _one_hot_is_easy(all_of: "Cells") -> tuple[bool, str] | None:
    part = all_of[all_of["dataset"] == "one_hot"]
    if part.empty:
        return None
    share = float((part["accuracy"] >= 0.95).mean())
    return share >= 0.8, f"0.95 or more in {share:.0%} of {len(part)} cells"


def _xor_is_hardest(all_of: "Cells") -> tuple[bool, str] | None:
    part = all_of[(all_of["dataset"] == "many_hot") & all_of["task"].isin(_LOGICAL)]
    best = part.pivot_table(index="network", columns="task", values="accuracy", aggfunc="max")
    best = best.reindex(index=_NETWORKS, columns=_LOGICAL)
    if best.isna().any(axis=None):
        return None
    hardest = bool((best["logical_xor"] <= best.min(axis=1) + 0.02).all())
    first = best["logical_xor"].idxmax() == "multiply"
    shown = (
        f"{name} {xor:.2f} ({logical_and:.2f}, {logical_or:.2f})"
        for name, (logical_and, logical_or, xor) in zip(best.index, best.to_numpy(), strict=True)
    )
    return hardest and first, f"XOR (AND, OR): {', '.join(shown)}"


def _range_matters(all_of: "Cells") -> tuple[bool, str] | None:
    part = all_of[(all_of["task"] == "reduce_sum") & (all_of["network"] == "dense")]
    best = part.groupby("activation")["accuracy"].max()
    if not {"sigmoid", "tanh", "linear"} <= set(best.index):
        return None
    holds = max(best["sigmoid"], best["tanh"]) < 0.2 and best["linear"] > 0.9
    text = ", ".join(f"{name} {value:.2f}" for name, value in best.items())
    return bool(holds), f"best on reduce_sum over data sets: {text}"


def _name(network: str, depth: int, activation: str) -> str:
    return network if network.startswith("multiply") else f"{network} {depth:.0f} {activation}"


def _draw_matrix(dataset: str) -> "Callable[[Results], Drawing | None]":
    def draw(results: "Results") -> "Drawing | None":
        found = cells(results)
        if found.empty or dataset not in set(found["dataset"]):
            return None
        part = found[found["dataset"] == dataset]
        values: dict[str, dict[str, float]] = {}
        for row in part.itertuples():
            name = _name(row.network, row.depth, row.activation)
            values.setdefault(name, {})[row.task] = row.accuracy
        return draw_heatmap(values, title=f"accuracy, {dataset}", low=0, high=1)

    return draw


def _draw_against(results: "Results") -> "Drawing | None":
    found = cells(results)
    if found.empty:
        return None
    both = found.merge(published(), on=_EXPERIMENT, suffixes=(" ours", " published"))
    if both.empty:
        return None
    figure, (axes,) = panels(1, width=5.6, height=4.6)
    for network, part in both.groupby("network"):
        axes.scatter(
            part["accuracy published"], part["accuracy ours"], s=14, alpha=0.6, label=network
        )
    axes.plot([0, 1], [0, 1], color="#888888", linewidth=0.8)
    axes.set_xlabel("published accuracy")
    axes.set_ylabel("our accuracy")
    axes.legend(fontsize=8, frameon=False)
    return figure


STUDY = Study(
    name="arithmetic",
    title="Which networks learn arithmetic and logic",
    source="D. Mack, Incorporating element-wise multiplication can out-perform dense layers in "
    "neural networks (2018), and its published rows",
    about=(
        "Tasks on two 128-wide vectors. Each experiment (task, data set, network) trains with "
        "every learning rate for some steps; the best rate by loss trains from scratch for "
        "longer; a training ends at an accuracy of 0.99; the better accuracy counts. The "
        "published figures beside ours are computed from the published rows by the same rule; "
        "published `random_pos` rows are a second run of `random`, ours are really positive."
    ),
    specs={"quick": (path_of("arithmetic-quick"),), "full": (path_of("arithmetic"),)},
    labels={
        "quick": "11 of 27 networks, 10 of 12 tasks, 3 of 4 data sets, 3 of 9 rates, winners "
        "trained for 6,000 steps of 30,000."
    },
    claims=(
        Claim(
            statement="multiply is at or near 100% on almost every task and data set",
            source=_SOURCE,
            published="",
            rule=_checked(_multiply_succeeds),
            rule_text="without dot and reduce_sum, at least 80% of its cells have 0.95 or more",
        ),
        Claim(
            statement="multiply struggles on dot and reduce_sum",
            source=_SOURCE,
            published="",
            rule=_checked(_multiply_struggles),
            rule_text="one_hot apart, its accuracy on both stays below 0.8",
        ),
        Claim(
            statement="multiply_simple reaches 100% on dot",
            source=_SOURCE,
            published="",
            rule=_checked(
                _on(
                    "multiply_simple",
                    "dot",
                    ("one_hot", "many_hot", "random", "random_pos"),
                    lambda best: best["accuracy"].min() >= 0.98,
                )
            ),
            rule_text="its accuracy is 0.98 or more on every data set",
            tried="In the quick size, longer winners: 3,000 steps gave 0.79 on many_hot, whose "
            "labels are near 32 and have to be met to 0.16.",
        ),
        Claim(
            statement="multiply_simple fails reduce_sum",
            source=_SOURCE,
            published="",
            rule=_checked(
                _on(
                    "multiply_simple",
                    "reduce_sum",
                    ("many_hot", "random", "random_pos"),
                    lambda best: best["accuracy"].max() < 0.2,
                )
            ),
            rule_text="one_hot apart (the sum is always 2), its accuracy stays below 0.2",
        ),
        Claim(
            statement="Dense networks cannot do dot on random or many-hot vectors",
            source=_SOURCE,
            published="",
            rule=_checked(
                _on(
                    "dense",
                    "dot",
                    ("random", "many_hot"),
                    lambda best: best["accuracy"].max() < 0.2,
                )
            ),
            rule_text="the best of all depths and activations stays below 0.2",
        ),
        Claim(
            statement="Dense networks cannot do elementwise_mul on random vectors",
            source=_SOURCE,
            published="",
            rule=_checked(
                _on(
                    "dense",
                    "elementwise_mul",
                    ("random",),
                    lambda best: best["accuracy"].max() < 0.7,
                )
            ),
            rule_text="the best of all depths and activations stays below 0.7",
        ),
        Claim(
            statement="Residual stacks do worse than plain ones",
            source=_SOURCE,
            published="",
            rule=_checked(_residual_is_worse),
            rule_text="the 95% interval of the paired difference of accuracy lies above 0",
            tried="Plain and residual stacks start and train alike here. The published residual "
            "rows stay at or below 0.24 even on elementwise_add of random vectors, which one "
            "linear layer solves; ours come as far there as plain stacks do.",
        ),
        Claim(
            statement="Almost every network passes one_hot",
            source=_SOURCE,
            published="",
            rule=_checked(_one_hot_is_easy),
            rule_text="at least 80% of the one_hot cells have 0.95 or more, as of the published",
        ),
        Claim(
            statement="XOR is the hardest logical task on many_hot, and multiply the best at it",
            source=_SOURCE,
            published="",
            rule=_checked(_xor_is_hardest),
            rule_text="for every kind of network (best over depth and activation) XOR is no "
            "easier than AND and OR by more than 0.02, and multiply has the highest accuracy on "
            "XOR",
        ),
        Claim(
            statement="A last activation that cannot reach the labels fails",
            source=_SOURCE,
            published="",
            rule=_checked(_range_matters),
            rule_text="on reduce_sum sigmoid and tanh stay below 0.2 and linear passes 0.9",
        ),
    ),
    figures=(
        *(
            Figure(
                f"accuracy-{dataset}",
                f"Accuracy by network and task, {dataset}",
                "The better of search and final training; a cell that was not run is white.",
                _draw_matrix(dataset),
            )
            for dataset in ("one_hot", "many_hot", "random", "random_pos")
        ),
        Figure(
            "published",
            "Ours against published",
            "One dot an experiment; on the line both are equal.",
            _draw_against,
        ),
    ),
)
