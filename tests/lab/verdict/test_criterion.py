"""The decision table at each of its boundaries, and `lab decide`, `lab memory-gb` as commands."""

from decimal import Decimal
from itertools import pairwise, product

import pytest
from click.testing import CliRunner, Result
from lab.cli import main
from lab.verdict.criterion import Case, Noise, band_of, decide, t_quantile

INCUMBENT = Decimal("0.997900")
NOISE = Noise(sd=Decimal("0.002"), df=10, runs=1, incumbent_runs=3)  # a band of 0.005145..., wider than LARGE
WIDE = Decimal("2.2281388520") * Decimal("0.002") * (1 + Decimal(1) / 3).sqrt()


def verdict(gain: str | Decimal, net: int = 0, **known: object) -> tuple[str, str]:
    """The verdict on a gain over INCUMBENT with that many net code lines, and its rule."""
    lines = {"added": max(net, 0), "removed": max(-net, 0)}
    decision = decide(Case(incumbent=INCUMBENT, candidate=INCUMBENT - Decimal(gain), **lines, **known))  # type: ignore[arg-type]
    assert decision.reason
    assert "\n" not in decision.reason
    return decision.verdict, decision.rule


def lab(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


# --- The table ------------------------------------------------------------------------------------------------------

KEEP_LARGE, KEEP_GAIN, KEEP_SIMPLER = ("keep", "large-gain"), ("keep", "gain"), ("keep", "simplification")
COMPLEX, NO_GAIN, WORSE = ("discard", "complexity"), ("discard", "no-gain"), ("discard", "worse")

TABLE = [
    # above large: at most 20 lines for each 0.001 of gain
    ("0.005001", 0, KEEP_LARGE),
    ("0.005001", 100, KEEP_LARGE),  # 100.02 allowed
    ("0.005001", 101, COMPLEX),
    ("0.006", 120, KEEP_LARGE),
    ("0.006", 121, COMPLEX),
    ("0.0123", 246, KEEP_LARGE),
    ("0.0123", 247, COMPLEX),
    ("0.5", 10000, KEEP_LARGE),
    ("0.5", 10001, COMPLEX),
    ("0.006", -300, KEEP_LARGE),
    # band to large, both included: under 20 lines
    ("0.005", 19, KEEP_GAIN),
    ("0.005", 20, COMPLEX),
    ("0.005", 100, COMPLEX),
    ("0.004999", 19, KEEP_GAIN),
    ("0.004999", 20, COMPLEX),
    ("0.003", 0, KEEP_GAIN),
    ("0.001001", 19, KEEP_GAIN),
    ("0.001", 19, KEEP_GAIN),
    ("0.001", 20, COMPLEX),
    ("0.001", 101, COMPLEX),
    ("0.001", -50, KEEP_GAIN),
    # between -band and band: only with less code
    ("0.000999", 19, NO_GAIN),
    ("0.000999", 0, NO_GAIN),
    ("0.000999", -1, KEEP_SIMPLER),
    ("0.000001", 1, NO_GAIN),
    ("0", 20, NO_GAIN),
    ("0", 0, NO_GAIN),
    ("0", -1, KEEP_SIMPLER),
    ("-0.000001", 0, NO_GAIN),
    ("-0.000999", 0, NO_GAIN),
    ("-0.000999", -1, KEEP_SIMPLER),
    # worse by band or more: whatever the code
    ("-0.001", -500, WORSE),
    ("-0.001", 0, WORSE),
    ("-0.001001", -1, WORSE),
    ("-0.9", -1, WORSE),
]


@pytest.mark.parametrize(("gain", "net", "expected"), TABLE)
def test_table(gain: str, net: int, expected: tuple[str, str]) -> None:
    assert verdict(gain, net) == expected


def test_net_lines_are_what_counts() -> None:
    """40 lines for 21 others are 19 more; 20 for 21 are one less."""
    case = Case(INCUMBENT, INCUMBENT - Decimal("0.002"), added=40, removed=21)
    assert decide(case).verdict == "keep"
    case = Case(INCUMBENT, INCUMBENT, added=20, removed=21)
    assert decide(case).rule == "simplification"


@pytest.mark.parametrize(
    ("behind", "expected"),
    [("-0.001", KEEP_SIMPLER), ("0", KEEP_SIMPLER), ("0.000999", KEEP_SIMPLER), ("0.001", NO_GAIN), ("0.1", NO_GAIN)],
)
def test_a_simplification_must_not_be_worse_than_the_best_by_band(behind: str, expected: tuple[str, str]) -> None:
    """So that a row of small losses, each within the band, does not lead away from the best."""
    candidate = INCUMBENT + Decimal("0.0005")
    assert verdict("-0.0005", -1, best=candidate - Decimal(behind)) == expected


def test_the_best_matters_for_simplifications_alone() -> None:
    best = INCUMBENT - Decimal("0.1")
    assert verdict("0.001", 19, best=best) == KEEP_GAIN
    assert verdict("0.006", 19, best=best) == KEEP_LARGE


@pytest.mark.parametrize("value", [None, "NaN", "sNaN", "Infinity", "-Infinity", "0", "-0", "0.000", "-1", "20", "1e9"])
def test_what_cannot_be_compared_is_a_crash(value: str | None) -> None:
    candidate = None if value is None else Decimal(value)
    assert decide(Case(INCUMBENT, candidate, added=0, removed=900)).verdict == "crash"


@pytest.mark.parametrize("value", ["0.000001", "19.999999"])
def test_the_ends_of_the_range_are_values(value: str) -> None:
    assert decide(Case(INCUMBENT, Decimal(value), added=0, removed=0)).verdict in ("keep", "discard")


# --- Memory ---------------------------------------------------------------------------------------------------------

MEMORY = ("discard", "memory")


@pytest.mark.parametrize(
    ("incumbent", "memory", "gain", "expected"),
    [
        ("40.0", "44.0", "0.001", KEEP_GAIN),  # exactly 10 % more
        ("40.0", "44.1", "0.001", MEMORY),
        ("40.0", "44.1", "0.001025", KEEP_GAIN),  # 10.25 %: exactly sufficient
        ("40.0", "44.1", "0.001024", MEMORY),
        ("1.0", "1.5", "0.001", KEEP_GAIN),  # exactly 0.5 GB more, and 50 %
        ("1.0", "1.6", "0.001", MEMORY),
        ("1.0", "1.6", "0.006", KEEP_LARGE),
        ("1.0", "1.6", "0.005999", MEMORY),  # a large gain is asked, too
        ("30.0", "36.0", "0.002", KEEP_GAIN),
        ("30.0", "36.0", "0.001999", MEMORY),
        ("44.0", "40.0", "0.001", KEEP_GAIN),  # less memory
        ("0.0", "44.0", "0.001", KEEP_GAIN),  # 0.0: unknown
        ("44.0", "0.0", "0.001", KEEP_GAIN),
    ],
)
def test_memory_must_be_worth_its_gain(incumbent: str, memory: str, gain: str, expected: tuple[str, str]) -> None:
    assert verdict(gain, 0, incumbent_memory=Decimal(incumbent), memory=Decimal(memory)) == expected


@pytest.mark.parametrize("known", [{"memory": Decimal(90)}, {"incumbent_memory": Decimal(1)}, {}])
def test_one_memory_alone_is_no_rule(known: dict[str, Decimal]) -> None:
    assert verdict("0.001", 0, **known) == KEEP_GAIN


def test_a_simplification_pays_for_memory_too() -> None:
    incumbent = {"incumbent_memory": Decimal("40.0")}
    assert verdict("0", -5, **incumbent, memory=Decimal("44.0")) == KEEP_SIMPLER
    assert verdict("0", -5, **incumbent, memory=Decimal("44.1")) == MEMORY
    assert verdict("-0.5", -5, **incumbent, memory=Decimal("44.1")) == WORSE


# --- Decimals -------------------------------------------------------------------------------------------------------


def test_a_gain_of_exactly_a_threshold_is_on_its_right_side() -> None:
    """As binary floats, a quarter of these subtractions are on the wrong side: 0.997900 - 0.996900 is below 0.001."""
    values = {*range(990_000, 1_010_000), *range(5_001, 19_999_999, 4_999)}
    wrong_as_floats = 0
    for k in values:
        incumbent = Decimal(k).scaleb(-6)
        for gain, net, rule in (("0.001", 19, "gain"), ("0.005", 20, "complexity")):
            candidate = incumbent - Decimal(gain)
            if candidate > 0:
                assert decide(Case(incumbent, candidate, added=net, removed=0)).rule == rule, (incumbent, gain)
        wrong_as_floats += float(incumbent) - float(incumbent - Decimal("0.001")) < 0.001
    assert wrong_as_floats > len(values) // 5, "the trap is there"


# --- Totality -------------------------------------------------------------------------------------------------------

LIMITS = [Decimal(gain) for gain in ("0", "0.0002", "0.001", "0.005", "0.006", "0.02", "0.5")] + [WIDE]
GAINS = sorted({sign * at + Decimal(beside).scaleb(-6) for at, sign, beside in product(LIMITS, (-1, 1), (-1, 0, 1))})
NETS = [-500, -20, -1, 0, 1, 19, 20, 21, 99, 100, 101, 120, 399, 400, 401, 10000]
KNOWN = [
    {},
    {"best": INCUMBENT},
    {"best": INCUMBENT - Decimal("0.0007")},
    {"best": INCUMBENT - Decimal("0.1")},
    {"noise": NOISE},
    {"noise": NOISE, "best": INCUMBENT - Decimal("0.004")},
    {"noise": Noise(Decimal(0), 2, 1, 3)},
    {"incumbent_memory": Decimal("40.0"), "memory": Decimal("60.0")},
]


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: ",".join(known))
@pytest.mark.parametrize("net", NETS)
def test_each_gain_has_a_verdict_and_more_gain_is_never_worse(net: int, known: dict[str, object]) -> None:
    verdicts = [verdict(gain, net, **known)[0] for gain in GAINS]
    assert set(verdicts) <= {"keep", "discard"}
    assert verdicts == sorted(verdicts), "discard, then keep: one change of mind at most"  # in the order of the gains


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: ",".join(known))
@pytest.mark.parametrize("gain", GAINS, ids=str)
def test_fewer_lines_are_never_worse(gain: Decimal, known: dict[str, object]) -> None:
    for fewer, more in pairwise(NETS):
        if verdict(gain, more, **known)[0] == "keep":
            assert verdict(gain, fewer, **known)[0] == "keep", (fewer, more)


# --- Noise ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("df", "expected"),
    [(1, 12.706205), (2, 4.302653), (3, 3.182446), (5, 2.570582), (10, 2.228139), (30, 2.042272), (1000, 1.962339)],
)
def test_quantiles_of_students_t(df: int, expected: float) -> None:
    assert t_quantile(0.975, df) == pytest.approx(expected, abs=1e-6)


def test_another_quantile_of_students_t() -> None:
    assert t_quantile(0.95, 2) == pytest.approx(2.919986, abs=1e-6)


@pytest.mark.parametrize(
    ("noise", "expected"),
    [
        (Noise(Decimal("0.0004"), 2, 1, 3), "0.001987"),  # 4.302653 x 0.0004 x sqrt(4/3) = 0.00198731
        (Noise(Decimal("0.0004"), 2, 3, 3), "0.001405"),
        (Noise(Decimal("0.0004"), 2, 1, 1), "0.002434"),
        (Noise(Decimal("0.03"), 2, 1, 3), "0.149048"),
        (Noise(Decimal("0.0001"), 30, 4, 4), "0.0002"),  # 0.000144
        (Noise(Decimal(0), 2, 1, 3), "0.0002"),
    ],
)
def test_band(noise: Noise, expected: str) -> None:
    assert round(band_of(noise), 6) == Decimal(expected)


def test_band_is_not_rounded() -> None:
    """0.0019873...: a gain of 0.001987 is within the noise."""
    noise = Noise(Decimal("0.0004"), 2, 1, 3)
    assert verdict("0.001987", 0, noise=noise) == NO_GAIN
    assert verdict("0.001988", 0, noise=noise) == KEEP_GAIN


def test_without_noise_the_band_is_the_published_one() -> None:
    assert band_of(None) == Decimal("0.001")


@pytest.mark.parametrize(
    ("gain", "net", "expected"),
    [
        (WIDE + Decimal("0.000001"), 20, KEEP_LARGE),  # above the band: large
        (WIDE - Decimal("0.000001"), 19, NO_GAIN),  # above 0.005, but within the noise
        ("0.005001", 0, NO_GAIN),
        ("-0.005001", -1, KEEP_SIMPLER),
        (-WIDE - Decimal("0.000001"), -1, WORSE),
    ],
)
def test_a_wide_band_widens_large(gain: str | Decimal, net: int, expected: tuple[str, str]) -> None:
    assert verdict(gain, net, noise=NOISE) == expected


@pytest.mark.parametrize(
    ("gain", "net", "expected"),
    [("0.0002", 19, KEEP_GAIN), ("0.0002", 20, COMPLEX), ("0.000199", 0, NO_GAIN), ("-0.0002", -1, WORSE)],
)
def test_a_narrow_band_is_the_least_one(gain: str, net: int, expected: tuple[str, str]) -> None:
    assert verdict(gain, net, noise=Noise(Decimal("0.00000001"), 2, 1, 3)) == expected


# --- The commands ---------------------------------------------------------------------------------------------------

EXAMPLE = ["decide", "--incumbent", "0.997900", "--candidate", "0.993200", "--added", "3", "--removed", "1"]


@pytest.mark.parametrize(
    ("more", "verdict_line", "rule"),
    [
        ([], "keep", "gain"),
        (["--best", "0.9979"], "keep", "gain"),
        (["--incumbent-memory", "44.0", "--memory", "44.2"], "keep", "gain"),
        (["--incumbent-memory", "44.0", "--memory", "88.0"], "discard", "memory"),
        (["--memory", "88.0"], "keep", "gain"),
        (["--sd", "0.0004", "--df", "2", "--runs", "1", "--incumbent-runs", "3"], "keep", "gain"),
        (["--sd", "0.0020", "--df", "2", "--runs", "1", "--incumbent-runs", "3"], "discard", "no-gain"),
        (["--sd", "0.0010", "--df", "2", "--runs", "1", "--incumbent-runs", "3"], "discard", "no-gain"),  # 0.004968
        (["--sd", "0.0010", "--df", "2", "--runs", "3", "--incumbent-runs", "3"], "keep", "gain"),  # 0.003513
        (["--sd", "1e30", "--df", "2"], "discard", "no-gain"),
        (["--added", "22"], "discard", "complexity"),
        (["--candidate", "0.9879", "--added", "101"], "keep", "large-gain"),
        (["--candidate", "nan"], "crash", "crash"),
        (["--candidate", "inf"], "crash", "crash"),
        (["--candidate", "-1"], "crash", "crash"),
        (["--candidate", "0"], "crash", "crash"),
        (["--candidate", "20"], "crash", "crash"),
    ],
)
def test_decide_prints_verdict_then_rule_and_reason(more: list[str], verdict_line: str, rule: str) -> None:
    result = lab(*EXAMPLE, *more)
    assert result.exit_code == 0, result.output
    first, second, *rest = result.stdout.splitlines()
    assert first == verdict_line
    assert second.startswith(f"{rule}: ")
    assert len(second) > len(rule) + 10
    assert rest == []
    assert result.stderr == ""


def test_no_candidate_is_a_crash() -> None:
    result = lab("decide", "--incumbent", "0.9979", "--added", "3", "--removed", "1")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "crash")


@pytest.mark.parametrize(
    "more",
    [
        ["--candidate", "text"],
        ["--incumbent", "nan"],
        ["--incumbent", "0"],
        ["--incumbent", "20"],
        ["--added", "-1"],
        ["--removed", "1.5"],
        ["--best", "inf"],
        ["--memory", "nan"],
        ["--sd", "0.001"],
        ["--df", "2"],
        ["--sd", "-0.001", "--df", "2"],
        ["--sd", "nan", "--df", "2"],
        ["--sd", "0.001", "--df", "0"],
        ["--sd", "0.001", "--df", "1000000"],
        ["--sd", "0.001", "--df", "2", "--runs", "0"],
        ["--incumbent-memory", "1e-999999", "--memory", "1e999999"],
        ["--no-such-option"],
    ],
    ids=" ".join,
)
def test_a_bad_option_is_refused(more: list[str]) -> None:
    result = lab(*EXAMPLE, *more)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr != ""


def test_decide_needs_an_incumbent() -> None:
    assert lab("decide", "--candidate", "0.9").exit_code == 2


@pytest.mark.parametrize(
    ("mib", "gb"),
    [
        ("45060.2", "44.0"),
        ("45107.2", "44.1"),  # 44.05 exactly: half up, where a float is below it
        ("45107.1", "44.0"),
        ("51.2", "0.1"),  # 0.05
        ("51.1", "0.0"),
        ("0", "0.0"),
        ("0.0", "0.0"),
        ("-0.0", "0.0"),
        ("460", "0.4"),
        ("1024", "1.0"),
        ("1e5", "97.7"),
        ("1048576", "1024.0"),
    ],
)
def test_memory_gb(mib: str, gb: str) -> None:
    result = lab("memory-gb", mib)
    assert (result.exit_code, result.stdout) == (0, f"{gb}\n"), result.output


@pytest.mark.parametrize(
    "value", ["nan", "snan", "inf", "-inf", "-1", "-0.1", "", " ", "text", "12,5", "1024MB", "1e99"]
)
def test_memory_gb_refuses(value: str) -> None:
    result = lab("memory-gb", value)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert f"'{value}'" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["1", "2"]])
def test_memory_gb_takes_one_value(arguments: list[str]) -> None:
    assert lab("memory-gb", *arguments).exit_code == 2
