"""The contents of the pictures, measured on the artists of matplotlib."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import module_at
from jaxtyping import TypeCheckError

import jaxsnn_eqx as snn

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from matplotlib.colors import to_rgba  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from jaxsnn_eqx import plotting  # noqa: E402

GALLERY = Path(__file__).parents[1] / "examples" / "gallery.py"


@pytest.fixture(autouse=True)
def close_figures():
    yield
    matplotlib.pyplot.close("all")


@pytest.fixture
def ax():
    return Figure().subplots()


def marks(ax, colour):
    """The marks of a colour: `[time, bottom, top]` each, in the order of time, then row."""
    found = [
        (start[0], start[1], end[1])
        for lines in ax.collections
        for start, end in lines.get_segments()
        if np.allclose(lines.get_color()[0], to_rgba(colour))
    ]
    return np.array(sorted(found)).reshape(-1, 3)


def test_a_raster_has_a_mark_for_every_spike_at_its_time_in_its_row(ax):
    spikes = np.zeros((5, 2, 3), bool)
    spikes[0, 0, 0] = spikes[3, 0, 2] = spikes[3, 1, 1] = True
    assert plotting.raster(spikes, dt=2e-3, ax=ax) is ax
    expected = [[0, -0.4, 0.4], [6, 1.6, 2.4], [6, 3.6, 4.4]]
    np.testing.assert_allclose(marks(ax, "black"), expected)
    assert len(marks(ax, "tab:red")) == 0
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (ms)", "neuron")
    assert ax.get_xlim() == (-1, 9)
    assert ax.get_ylim() == (-0.6, 5.6)


def test_negative_spikes_are_red_and_graded_ones_have_proportional_heights(ax):
    plotting.raster(jnp.array([4.0, 0.0, -1.0, 2.0]), ax=ax)
    np.testing.assert_allclose(marks(ax, "black"), [[0, -0.4, 0.4], [3, -0.2, 0.2]])
    np.testing.assert_allclose(marks(ax, "tab:red"), [[2, -0.1, 0.1]])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_crosses_and_change_no_other_mark(ax, bad):
    plotting.raster([[1.0, 0.0], [bad, 1.0]], ax=ax)
    (crosses,) = ax.lines
    assert (crosses.get_marker(), crosses.get_linestyle()) == ("x", "None")
    np.testing.assert_array_equal(crosses.get_xydata(), [[1, 0]])
    np.testing.assert_allclose(marks(ax, "black"), [[0, -0.4, 0.4], [1, 0.6, 1.4]])


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.int8, bool])
def test_a_raster_takes_every_dtype_of_spikes(ax, dtype):
    plotting.raster(jnp.eye(3).astype(dtype), ax=ax)
    assert len(marks(ax, "black")) == 3


@pytest.mark.parametrize("shape", [(0,), (0, 3), (4, 0), (4,), (4, 2, 2)])
def test_silence_is_drawn_without_a_warning(ax, shape):
    plotting.raster(jnp.zeros(shape), ax=ax)
    plotting.potential_trace(jnp.zeros(shape), jnp.zeros(shape), v_th=0.6, ax=ax)
    ax.figure.canvas.draw()
    assert len(marks(ax, "black")) == 0


def test_potentials_are_lines_with_their_threshold_and_their_spikes_above(ax):
    encoder = snn.ConstantCurrentLIFEncoder(30, dt=2e-3)
    potentials, spikes = snn.trace(encoder, [1.0, 4.0])
    drawn = plotting.potential_trace(
        potentials, spikes, dt=2e-3, v_th=encoder.params.v_th, ax=ax
    )
    assert drawn is ax
    first, second, threshold = ax.lines
    np.testing.assert_allclose(first.get_xdata(), 2 * np.arange(30))
    np.testing.assert_allclose(first.get_ydata(), potentials[:, 0])
    np.testing.assert_allclose(second.get_ydata(), potentials[:, 1])
    assert list(threshold.get_ydata()) == [0.6, 0.6]
    for i in (0, 1):
        found = marks(ax, f"C{i}")
        np.testing.assert_allclose(found[:, 0], 2 * np.flatnonzero(spikes[:, i]))
        assert len(found) > 0
        assert (found[:, 1] > 0.6).all()
        assert (found[:, 2] > found[:, 1]).all()
    assert marks(ax, "C1")[:, 1].min() > marks(ax, "C0")[:, 2].max()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (ms)", "potential")


def test_potentials_alone_have_no_threshold_and_no_marks(ax):
    plotting.potential_trace([0.0, 0.5, np.nan], ax=ax)
    (line,) = ax.lines
    np.testing.assert_array_equal(line.get_ydata(), [0.0, 0.5, np.nan])
    assert not ax.collections


def test_every_threshold_is_a_line_once(ax):
    v_th = snn.LearnableLIFEncoder(3, 5).params.v_th
    plotting.potential_trace(jnp.zeros((5, 3)), v_th=v_th.at[1].set(0.9), ax=ax)
    np.testing.assert_allclose([line.get_ydata()[0] for line in ax.lines[3:]], [0.6, 0.9])


def test_values_are_drawn_in_the_rows_of_their_spikes():
    x = jnp.array([0.2, 1.0, 0.6])
    encoder = snn.LatencyEncoder(11, t_late=5e-3, dt=5e-4)
    values, spikes = plotting.encoding(encoder, x)
    heights, edges, baseline = values.patches[0].get_data()
    np.testing.assert_allclose(heights, x)
    np.testing.assert_allclose(edges, [-0.5, 0.5, 1.5, 2.5])
    assert baseline == 0
    assert values.get_ylim() == spikes.get_ylim()
    # t_late · (1 − x), in ms: the encoder's own dt is on the axis
    np.testing.assert_allclose(marks(spikes, "black")[:, 0], [0, 2, 4])
    np.testing.assert_allclose(marks(spikes, "black")[:, 1], [0.6, 1.6, -0.4])
    assert (values.get_xlabel(), values.get_ylabel()) == ("value", "neuron")
    assert spikes.get_xlabel() == "time (ms)"


def test_a_value_of_several_neurons_is_as_high_as_their_rows():
    fields = snn.GaussianReceptiveFields.evenly(4)
    network = snn.Preprocessed(fields, snn.PhaseEncoder(8))
    values, spikes = plotting.encoding(network, jnp.array([0.1, 0.9]))
    np.testing.assert_allclose(values.patches[0].get_data().edges, [-0.5, 3.5, 7.5])
    expected = network(jnp.array([0.1, 0.9])).sum()
    assert len(marks(spikes, "black")) == expected > 0


@pytest.mark.parametrize("dt", [None, 4e-3])
def test_a_signal_is_drawn_over_its_spikes(dt):
    xs = jnp.array([[0.0, 0.0], [0.5, 1.0], [2.0, -1.0], [2.0, -1.0]])
    signal, spikes = plotting.encoding(snn.DeltaEncoder(1.0), xs, dt=dt)
    step = 1.0 if dt is None else 4.0
    assert len(signal.lines) == 2
    np.testing.assert_allclose(signal.lines[1].get_xdata(), step * np.arange(4))
    np.testing.assert_allclose(signal.lines[1].get_ydata(), xs[:, 1])
    assert signal.get_xlim() == spikes.get_xlim()
    np.testing.assert_allclose(marks(spikes, "black")[:, :2], [[step, 0.6], [2 * step, -0.4]])
    np.testing.assert_allclose(marks(spikes, "tab:red")[:, :2], [[2 * step, 0.6]])


def test_an_encoding_draws_into_the_axes_it_is_given_and_passes_the_key_on():
    axes = tuple(Figure().subplots(1, 2))
    encoder, x, key = snn.PoissonEncoder(50, 500.0), jnp.ones(4), jax.random.key(3)
    assert plotting.encoding(encoder, x, key=key, axes=axes) == axes
    assert len(marks(axes[1], "black")) == encoder(x, key=key).sum() > 0
    assert not matplotlib.pyplot.get_fignums()


def test_without_axes_each_function_makes_one_figure():
    before = matplotlib.pyplot.get_fignums()
    drawn = [
        plotting.raster(jnp.eye(3)),
        plotting.potential_trace(jnp.eye(3)),
        plotting.encoding(snn.PhaseEncoder(8), 0.3)[0],
    ]
    assert before == []
    assert len({ax.figure for ax in drawn}) == len(matplotlib.pyplot.get_fignums()) == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plotting.raster(jnp.eye(2), dt=0.0), "`dt` must be positive, got 0.0"),
        (lambda: plotting.potential_trace([0.0], dt=-1.0), "`dt` must be positive, got -1.0"),
        (
            lambda: plotting.potential_trace([0.0, 1.0], [0.0]),
            r"`spikes` must have the shape of `potentials`, \(2,\), got \(1,\)",
        ),
        (
            lambda: plotting.encoding(snn.DeltaEncoder(1.0), 0.5),
            r"`x` must have a time axis, got shape \(\)",
        ),
        (
            lambda: plotting.encoding(snn.PhaseEncoder(8), 0.5, dt=0.0),
            "`dt` must be positive, got 0.0",
        ),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
    assert not matplotlib.pyplot.get_fignums()


def test_spikes_of_another_shape_than_the_potentials_are_refused():
    with pytest.raises(TypeCheckError, match="typechecking parameter 'spikes'"):
        plotting.potential_trace(jnp.zeros((3, 2)), jnp.zeros((3, 1)))


def test_without_matplotlib_the_import_names_the_extra():
    code = (
        "import sys\n"
        "sys.modules['matplotlib'] = None\n"
        "import jaxsnn_eqx\n"
        "try:\n"
        "    from jaxsnn_eqx import plotting\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    expected = "`jaxsnn_eqx.plotting` needs matplotlib: install `jaxsnn_eqx[plot]`."
    assert run.stdout.strip() == expected


def test_the_gallery_draws_every_encoder():
    if not GALLERY.exists():
        pytest.skip("outside the source tree")
    gallery = module_at(GALLERY)
    panels = gallery.of_values() + gallery.of_signals(gallery.make_signal())
    gallery.check_complete(panels)
    names = {name for panel in panels for name in panel.names}
    assert len(names) > 15
    encoders = {n for n in names if issubclass(getattr(snn, n), snn.AbstractEncoder)}
    for name in encoders:
        with pytest.raises(ValueError, match=rf"the gallery must draw .*\b{name}\b"):
            gallery.check_complete([panel for panel in panels if name not in panel.names])


def test_a_summary_is_drawn_as_shares_of_neurons(ax):
    encoder = snn.ConstantCurrentLIFEncoder(50)
    values = np.array([[0.1, 2.0, 1e3, 0.2], [0.3, 1.0, 1e3, 3.0]], np.float32)
    model = snn.Network([encoder, snn.OverTime(jnp.ravel)])
    found = snn.summary(model, values)
    assert plotting.activity(found, ax=ax) is ax
    silent, firing, saturated = (bars[0].get_width() for bars in ax.containers)
    assert (silent, firing, saturated) == (25, 50, 25)
    assert [bars[0].get_x() for bars in ax.containers] == [0, 25, 75]
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "[0] ConstantCurrentLIFEncoder"
    ]
    assert ax.texts[0].get_text() == f"{found.layers[0].rate:.3g} Hz"
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["silent", "firing", "saturated"]


def test_a_summary_without_spikes_is_refused(ax):
    found = snn.summary(snn.LI(), np.ones((2, 5, 3)))
    with pytest.raises(ValueError, match="must have a layer that spikes, got none"):
        plotting.activity(found, ax=ax)
