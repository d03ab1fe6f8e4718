// A chart is unpacked and drawn when it comes near the window; a slider, or playing, goes through its training steps.
"use strict";

const MILLISECONDS = 700; // for which a step stands while it plays
const PATIENCE = 5000; // milliseconds that a drawing may take before the next one begins

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

async function draw(figure) {
  const plot = figure.querySelector(".plot");
  try {
    const { config, frames } = await unpack(figure.querySelector("script").textContent);
    const show = shower(figure, plot, frames, config);
    await show(figure.querySelector("input")?.valueAsNumber ?? 0);
    plot.on("plotly_afterplot", () => fit(plot));
    fit(plot);
    if (frames.length > 1) connect(figure, frames, show);
    plot.on("plotly_click", ({ points }) => choose(figure, points[0]));
    figure.dataset.drawn = "yes";
  } catch (error) {
    plot.textContent = `This chart cannot be drawn: ${error.message}. Browsers from 2023 on can.`;
  }
}

// A function that draws a step: one at a time, and then the last that was asked for. `data-step` says which one stands.
function shower(figure, plot, frames, config) {
  let wanted = null;
  let begun = null;
  let isDrawing = false;

  async function react(index) {
    begun = index;
    const { step, data, layout } = frames[index];
    // With one revision, what a reader zoomed into or switched off stays so at the next step.
    await Plotly.react(plot, data, { ...layout, uirevision: "kept" }, config);
    if (begun === index) figure.dataset.step = step;
  }
  return async function show(index) {
    wanted = index;
    if (isDrawing) return;
    isDrawing = true;
    try {
      while (wanted !== null) {
        const drawing = react(wanted);
        wanted = null;
        try {
          // A drawing that never says that it is done, or fails, must not keep the next one from being drawn.
          await Promise.race([drawing, new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
        } catch (error) {
          if (wanted === null) throw error;
        }
      }
    } finally {
      isDrawing = false;
    }
  };
}

function connect(figure, frames, show) {
  const slider = figure.querySelector("input");
  const said = figure.querySelector("output");
  const button = figure.querySelector("button");
  let timer = null;

  function go(index) {
    slider.value = index;
    slider.setAttribute("aria-valuetext", frames[index].step);
    said.textContent = frames[index].step;
    show(index);
  }
  function stop() {
    clearInterval(timer);
    timer = null;
    button.textContent = "Play";
  }
  function play() {
    if (slider.value === slider.max) go(0);
    timer = setInterval(() => {
      go(slider.valueAsNumber + 1);
      if (slider.value === slider.max) stop();
    }, MILLISECONDS);
    button.textContent = "Pause";
  }
  slider.addEventListener("input", () => {
    stop();
    go(slider.valueAsNumber);
  });
  button.addEventListener("click", () => (timer === null ? play() : stop()));
}

// What a point tells of another chart's slider, such as the number of a direction, is chosen there; a cluster of
// eigenvalues chooses its first direction, where the page has those of the same matrix at the step that is shown.
function choose(figure, { data, customdata }) {
  const columns = data.meta?.columns ?? [];
  if (!customdata) return;
  for (const [place, name] of columns.entries()) {
    const other = figure.closest("details").querySelector(`figure[data-over="${name}"]`);
    if (other !== figure) slide(other, Number(customdata[place]));
  }
  const { directions } = figure.closest("details").dataset;
  const [low, high] = [columns.indexOf("low"), columns.indexOf("high")];
  if (!directions || low < 0 || high < 0) return;
  const { analysis, step, values, errors } = JSON.parse(directions);
  if (figure.dataset.step !== step) return;
  const inside = (value, i) => value + errors[i] >= customdata[low] && value - errors[i] <= customdata[high];
  const number = values.findIndex(inside) + 1;
  const part = document.querySelector(`details[data-analysis="${CSS.escape(analysis)}"]`);
  if (number) slide(part?.querySelector('figure[data-over="direction"]'), number);
}

function slide(figure, number) {
  const slider = figure?.querySelector("input");
  if (!slider) return;
  figure.closest("details").open = true;
  slider.value = number - 1;
  slider.dispatchEvent(new Event("input"));
  figure.closest("section").scrollIntoView();
}

// A table is unpacked when it is to be saved.
async function save(event) {
  const { file, packed } = event.currentTarget.dataset;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([await unpack(packed)], { type: "text/csv" }));
  link.download = file;
  link.click();
  URL.revokeObjectURL(link.href);
}

// A link into a folded part unfolds it.
function reveal() {
  const target = document.getElementById(location.hash.slice(1));
  const folded = target?.closest("details:not([open])");
  if (folded) {
    folded.open = true;
    target.scrollIntoView();
  }
}

const observer = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) {
        observer.unobserve(target);
        draw(target);
      }
    }
  },
  { rootMargin: "1000px 0px" },
);
for (const figure of document.querySelectorAll("figure.chart")) observer.observe(figure);
for (const button of document.querySelectorAll("[data-packed]")) button.addEventListener("click", save);
addEventListener("hashchange", reveal);
// Charts in a folded part do not learn that the window's width has changed.
addEventListener("toggle", () => dispatchEvent(new Event("resize")), true);
reveal();
