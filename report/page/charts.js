// Draws the report's charts in the browser, from the columns in #data (report/series.ts). Put into the page as text by
// report/page.ts, after uPlot; imports nothing.
// @ts-nocheck: its globals are the browser's and uPlot's, which the rest of the project does not know.

(() => {
  "use strict";
  let { runs, words } = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const probe = document.createElement("span");
  document.body.append(probe);
  /** A colour of the style sheet as the canvas takes it: `rgb(r, g, b)`. */
  const style = (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const COLOURS = 8;
  const colour = (i) => style(`--run-${i % COLOURS}`);
  const faded = (rgb, share) => rgb.replace("rgb(", "rgba(").replace(")", `, ${share})`);

  const grouped = (n) => Math.round(n).toLocaleString("en-US");
  const short = (n) =>
    Math.abs(n) >= 1e6 ? `${+(n / 1e6).toFixed(1)}M` : Math.abs(n) >= 1e4 ? `${+(n / 1e3).toFixed(1)}k` : grouped(n);
  const percent = (share) => `${+(100 * share).toFixed(1)}%`;
  const small = (x) => (x === 0 ? "0" : x >= 0.01 && x < 1e4 ? String(+x.toPrecision(3)) : x.toExponential(1));
  const clock = (ms) => {
    const s = Math.round(ms / 1000);
    if (s < 60) return `${s}s`;
    if (s < 3600) return `${Math.floor(s / 60)}m${s % 60 ? ` ${s % 60}s` : ""}`;
    return `${Math.floor(s / 3600)}h${s % 3600 >= 60 ? ` ${Math.floor(s % 3600 / 60)}m` : ""}`;
  };
  // Marks of a time axis fall on whole seconds, minutes and hours.
  const TIMES = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 172800]
    .map((s) => 1000 * s);

  const COUNTS = Array.from({ length: 15 }, (_, i) => [1, 2, 5].map((n) => n * 10 ** i)).flat();

  const AXES = {
    step: { label: "updates", text: short, long: grouped, marks: COUNTS },
    elapsed_ms: { label: "time", text: clock, long: clock, marks: TIMES },
    tokens: { label: "tokens", text: short, long: grouped, marks: COUNTS },
  };
  let axis = "step";
  let charts = [];

  /** A curve with its own x, as uPlot's join wants it. */
  const curve = (label, x, y, options) => ({ label, x, y, ...options });

  /** The curves of a panel: of training and of held-out text, and what guessing reaches. */
  function curvesOf(panel) {
    const several = runs.length > 1;
    const curves = [];
    const guessing = new Set();
    runs.forEach((run, i) => {
      const hue = colour(i);
      const of = (text) => (several ? `${run.name}: ${text}` : text);
      const { train, evaluation } = run;
      if (panel === "learning_rate" || panel === "grad_norm" || panel === "tokens_per_second") {
        curves.push(curve(several ? run.name : words.trained, train[axis], train[panel], { stroke: hue, width: 1.5 }));
        return;
      }
      if (panel === "loss" && run.reference && !several) {
        const { reference } = run;
        const band = { stroke: "transparent", width: 0, fill: faded(style("--muted"), 0.18), points: false };
        curves.push(curve("recorded runs, upper", reference[axis], reference.high, { ...band, bandStart: true }));
        curves.push(curve("recorded runs", reference[axis], reference.low, { ...band, bandEnd: true }));
      }
      const hasEvaluation = evaluation.step.length > 0;
      const pale = faded(hue, hasEvaluation ? 0.65 : 1);
      const [low, high] = [evaluation[`${panel}_low`], evaluation[`${panel}_high`]];
      if (low?.some((value) => value !== null)) {
        const interval = { stroke: "transparent", width: 0, fill: faded(hue, 0.2), points: false };
        curves.push(curve(of("95% interval, upper"), evaluation[axis], high, { ...interval, bandStart: true }));
        curves.push(curve(of("95% interval"), evaluation[axis], low, { ...interval, bandEnd: true }));
      }
      for (const dots of run.dots ?? []) {
        const look = { stroke: "transparent", width: 0, dots: 5, fill: pale };
        curves.push(curve(of("one seed"), dots.step, dots[panel] ?? [], look));
      }
      if (train[panel] !== undefined) {
        curves.push(curve(of(words.trained), train[axis], train[panel], { stroke: pale, width: 1.25 }));
      }
      if (hasEvaluation) {
        const look = { stroke: hue, width: 2.5, dots: 6, fill: hue };
        curves.push(curve(of(words.measured), evaluation[axis], evaluation[panel], look));
      }
      const level = train.step.length + evaluation.step.length > 0 ? run.guessing?.[panel] : undefined;
      const key = level?.toFixed(4);
      if (level !== undefined && !guessing.has(key)) {
        guessing.add(key);
        const isShared = runs.every(({ guessing }) => guessing?.[panel]?.toFixed(4) === key);
        const ends = [train[axis], evaluation[axis]].flatMap((x) => [x[0], x[x.length - 1]]).filter((x) => x != null);
        curves.push(
          curve(isShared ? words.guessing[panel] : of(words.guessing[panel]), [Math.min(...ends), Math.max(...ends)], [
            level,
            level,
          ], {
            stroke: isShared ? style("--text") : hue,
            width: 1.25,
            dash: [6, 4],
          }),
        );
      }
    });
    return curves.filter(({ y }) => y.some((value) => value !== null));
  }

  function draw(figure) {
    const panel = figure.dataset.panel;
    const holder = figure.querySelector(".chart");
    const curves = curvesOf(panel);
    holder.replaceChildren();
    if (curves.length === 0) {
      holder.textContent = "Nothing is recorded yet.";
      return { figure, labels: "", plot: undefined };
    }
    const data = uPlot.join(curves.map(({ x, y }) => [x, y]));
    const bands = [];
    curves.forEach(({ bandStart, fill }, i) => {
      if (bandStart) bands.push({ series: [i + 1, i + 2], fill });
    });
    const isShare = /accuracy$/.test(panel);
    const value = isShare ? percent : panel === "tokens_per_second" ? grouped : small;
    const mark = isShare ? percent : panel === "tokens_per_second" ? short : small;
    const lines = { stroke: style("--muted"), font: "12px system-ui, sans-serif" };
    const grid = { stroke: style("--line"), width: 1 };
    const options = {
      width: holder.clientWidth,
      height: Math.round(Math.max(220, Math.min(320, 0.55 * holder.clientWidth))),
      scales: {
        x: { time: false },
        y: {
          range: (_, low, high) => {
            const room = 0.08 * (high - low || high || 1);
            const fromLeast = panel === "loss" || figure.dataset.zoomed === "true";
            if (fromLeast || low < 0) return [low - room, Math.max(high, fromLeast ? high : 0) + room];
            return [0, high + room];
          },
        },
      },
      axes: [
        {
          ...lines,
          grid,
          ticks: { ...grid, size: 4 },
          size: 34,
          space: 55,
          incrs: AXES[axis].marks,
          values: (_, marks) => marks.map(AXES[axis].text),
        },
        { ...lines, grid, ticks: { ...grid, size: 4 }, size: 58, space: 36, values: (_, marks) => marks.map(mark) },
      ],
      series: [
        { label: AXES[axis].label, value: (_, x) => (x == null ? "–" : AXES[axis].long(x)) },
        ...curves.map(({ label, stroke, width, dash, dots, fill, bandStart, bandEnd }) => ({
          label,
          stroke,
          width,
          ...(dash ? { dash } : {}),
          spanGaps: true,
          points: { show: dots !== undefined, size: dots ?? 0, fill, stroke: fill },
          value: (_, y) => (y == null ? "–" : value(y)),
          ...(bandEnd ? { class: "band" } : bandStart || width === 0 ? { class: "helper" } : {}),
        })),
      ],
      bands,
      legend: {
        markers: {
          width: 2,
          stroke: (u, i) => curves[i - 1]?.bandEnd ? curves[i - 1].fill : u.series[i]._stroke ?? curves[i - 1]?.stroke,
          fill: (_, i) => curves[i - 1]?.bandEnd ? curves[i - 1].fill : "transparent",
          dash: (_, i) => curves[i - 1]?.dash ? "dashed" : "solid",
        },
      },
      // One crosshair for all charts: each says its values there, and a part that is looked at closer is so in all.
      cursor: { points: { size: 7 }, y: false, sync: { key: "cloze", scales: ["x", null] } },
    };
    const plot = new uPlot(options, data, holder);
    const canvas = plot.root.querySelector("canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", figure.dataset.summary);
    plot.root.querySelectorAll(".u-legend .u-series").forEach((row, i) => {
      if (i === 0 || row.classList.contains("helper")) return;
      const switchRow = () => {
        const show = !plot.series[i].show;
        plot.setSeries(i, { show });
        if (curves[i - 1].bandEnd) plot.setSeries(i - 1, { show });
        head.setAttribute("aria-pressed", String(show));
      };
      // uPlot switches by mouse; its own listener goes with the clone, and the keyboard gets the same.
      const head = row.querySelector("th").cloneNode(true);
      row.querySelector("th").replaceWith(head);
      head.tabIndex = 0;
      head.setAttribute("role", "button");
      head.setAttribute("aria-pressed", "true");
      head.addEventListener("click", switchRow);
      head.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          switchRow();
        }
      });
    });
    const over = plot.over;
    over.tabIndex = 0;
    over.setAttribute("role", "application");
    over.setAttribute(
      "aria-label",
      `${figure.querySelector("figcaption").textContent.trim()}: left and right arrows read values`,
    );
    over.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
      if (move === undefined) return;
      event.preventDefault();
      const [x] = plot.data; // of now: a page that follows a run gets more
      const at = Math.max(0, Math.min(x.length - 1, (plot.cursor.idx ?? -1) + move));
      plot.setCursor({ left: plot.valToPos(x[at], "x"), top: over.clientHeight / 2 }, true, true);
    });
    return { figure, labels: labelsOf(curves), plot };
  }

  const labelsOf = (curves) => JSON.stringify(curves.map(({ label }) => label));

  function drawAll() {
    for (const { plot } of charts) plot?.destroy();
    charts = [...document.querySelectorAll("figure[data-panel]")].map(draw);
  }

  /** Gives a chart its curves as they are now; a part that is looked at closer stays so. */
  function redraw(chart) {
    const { figure, plot, labels } = chart;
    const curves = curvesOf(figure.dataset.panel);
    if (plot === undefined || labelsOf(curves) !== labels) {
      plot?.destroy();
      return draw(figure);
    }
    const [x] = plot.data, { min, max } = plot.scales.x;
    const isCloser = min > x[0] || max < x[x.length - 1];
    plot.setData(uPlot.join(curves.map(({ x, y }) => [x, y])), !isCloser);
    if (isCloser) plot.setScale("x", { min, max });
    plot.root.querySelector("canvas").setAttribute("aria-label", figure.dataset.summary);
    return chart;
  }

  /** For a page that follows a run: shows other curves, in the same figures or in new ones. */
  globalThis.clozeCharts = {
    show(curves, areSameFigures) {
      ({ runs, words } = curves);
      if (areSameFigures) charts = charts.map(redraw);
      else drawAll();
    },
  };

  for (const input of document.querySelectorAll("input[name=axis]")) {
    input.addEventListener("change", () => {
      axis = input.value;
      drawAll();
    });
    if (input.checked) axis = input.value; // a reloaded page keeps the choice
  }

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const button = document.getElementById("theme");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const label = () => button.textContent = isDark() ? "Light" : "Dark";
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    label();
    drawAll();
  });
  dark.addEventListener("change", () => {
    label();
    drawAll();
  });
  label();

  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return; // a phone's address bar comes and goes
    width = innerWidth;
    drawAll();
  });
  addEventListener("beforeprint", drawAll);
  drawAll();
})();
