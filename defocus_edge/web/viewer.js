// Draws a photograph and its blur map. Everything that moves with the mouse or a slider is drawn here, without the server.
(() => {
  "use strict";
  const state = { view: null, mode: "split", share: 0.5, threshold: 0, place: null };
  const find = (name) => document.querySelector(`#blur-viewer [data-part="${name}"]`);

  function loadPixels(url) {
    return new Promise((done, fail) => {
      const picture = new Image();
      picture.onload = () => {
        const canvas = document.createElement("canvas");
        canvas.width = picture.naturalWidth;
        canvas.height = picture.naturalHeight;
        const context = canvas.getContext("2d", { willReadFrequently: true });
        context.drawImage(picture, 0, 0);
        done(context.getImageData(0, 0, canvas.width, canvas.height));
      };
      picture.onerror = fail;
      picture.src = url;
    });
  }

  async function show(packed) {
    const viewer = document.querySelector("#blur-viewer");
    if (!packed || !packed.photo) {
      state.view = null;
      viewer.hidden = true;
      return;
    }
    const urls = [packed.photo, packed.values, packed.probability].filter(Boolean);
    const [photo, values, probability] = await Promise.all(urls.map(loadPixels));
    const count = values.width * values.height;
    const view = { ...packed, photo, probability, radius: new Float32Array(count), confidence: new Float32Array(count) };
    for (let i = 0; i < count; i++) {
      view.radius[i] = (values.data[4 * i] * 256 + values.data[4 * i + 1]) / packed.steps;
      view.confidence[i] = values.data[4 * i + 2] / 255;
    }
    view.level = probability ? Float32Array.from({ length: count }, (_, i) => probability.data[4 * i] / 255) : view.radius;
    view.map = new ImageData(values.width, values.height);
    for (let i = 0; i < count; i++) {
      const colour = packed.colours[Math.min(255, Math.round((view.radius[i] * 255) / packed.top))];
      view.map.data.set([...colour, 255], 4 * i);
    }
    state.view = view;
    state.threshold = packed.threshold;
    state.place = null;
    const canvas = find("canvas");
    canvas.width = values.width;
    canvas.height = values.height;
    canvas.style.maxWidth = `${(80 * values.width) / values.height}vh`;
    canvas.setAttribute("aria-label", `${packed.name}: photograph and blur map. ${packed.summary}. Arrow keys move the cursor.`);
    viewer.hidden = false;
    drawScale(packed);
    tell("Point at the picture to read the radius.");
    draw();
  }

  function drawScale(packed) {
    const bar = find("bar");
    const stops = packed.colours.filter((_, i) => i % 15 === 0).map((colour) => `rgb(${colour.join(",")})`);
    bar.style.background = `linear-gradient(to right, ${stops.join(",")})`;
    find("ticks").replaceChildren(
      ...[0, 0.25, 0.5, 0.75, 1].map((share) => {
        const tick = document.createElement("span");
        tick.textContent = `${+(share * packed.top).toFixed(1)}`;
        return tick;
      }),
    );
  }

  function draw() {
    const view = state.view;
    if (!view) return;
    const canvas = find("canvas");
    const context = canvas.getContext("2d");
    const { width, height } = canvas;
    const out = new ImageData(width, height);
    const photo = view.photo.data;
    const map = view.map.data;
    const target = out.data;
    const border = Math.round(state.share * width);
    let blurred = 0;
    for (let i = 0, at = 0; i < width * height; i++, at += 4) {
      const isBlurred = view.level[i] > state.threshold;
      blurred += isBlurred;
      const share = state.mode === "split" ? +(i % width >= border) : state.mode === "blend" ? state.share : 0;
      for (let c = 0; c < 3; c++) target[at + c] = photo[at + c] + share * (map[at + c] - photo[at + c]);
      if (state.mode === "mask" && isBlurred) {
        // Blurred parts turn dark and blue, whatever their colour.
        target[at] *= 0.25;
        target[at + 1] *= 0.3;
        target[at + 2] = target[at + 2] * 0.3 + 70;
      }
      target[at + 3] = 255;
    }
    context.putImageData(out, 0, 0);
    if (state.mode === "split") {
      context.fillStyle = "#ffffff";
      context.fillRect(border - 1, 0, 2, height);
    }
    if (state.place) drawCross(context, state.place, width);
    const percent = ((100 * blurred) / (width * height)).toFixed(1);
    const unit = view.is_radius ? `${state.threshold.toFixed(2)} px` : `probability ${state.threshold.toFixed(2)}`;
    find("share").textContent = `${percent} % of the picture is blurred more than ${unit}.`;
  }

  function drawCross(context, [row, column], width) {
    const arm = Math.max(6, width / 100);
    for (const [colour, line] of [["#000000", 3], ["#ffffff", 1]]) {
      context.strokeStyle = colour;
      context.lineWidth = line;
      context.beginPath();
      context.moveTo(column - arm, row + 0.5);
      context.lineTo(column + arm, row + 0.5);
      context.moveTo(column + 0.5, row - arm);
      context.lineTo(column + 0.5, row + arm);
      context.stroke();
    }
  }

  function tell(text) {
    find("reading").textContent = text;
  }

  function read(row, column) {
    const view = state.view;
    const i = row * find("canvas").width + column;
    const scale = view.width / find("canvas").width;
    const at = `row ${Math.round(row * scale)}, column ${Math.round(column * scale)}`;
    const probability = view.probability ? `, probability of blur ${view.level[i].toFixed(2)}` : "";
    tell(`Radius ${view.radius[i].toFixed(2)} px, confidence ${view.confidence[i].toFixed(2)}${probability} at ${at}`);
  }

  function point(event) {
    if (!state.view) return;
    const canvas = find("canvas");
    const box = canvas.getBoundingClientRect();
    const clamp = (value, size) => Math.min(size - 1, Math.max(0, Math.floor(value * size)));
    const row = clamp((event.clientY - box.top) / box.height, canvas.height);
    const column = clamp((event.clientX - box.left) / box.width, canvas.width);
    read(row, column);
  }

  const SLIDER_LABELS = { split: "border", blend: "share of the map", mask: "border" };
  const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

  function move(event) {
    const step = STEPS[event.key];
    if (!state.view || !step) return;
    event.preventDefault();
    const canvas = find("canvas");
    const size = [canvas.height, canvas.width];
    const stride = event.shiftKey ? 1 : Math.max(1, Math.round(canvas.width / 50));
    const from = state.place || [size[0] >> 1, size[1] >> 1];
    state.place = from.map((value, axis) => Math.min(size[axis] - 1, Math.max(0, value + step[axis] * stride)));
    draw();
    read(...state.place);
  }

  function listen() {
    const viewer = document.querySelector("#blur-viewer");
    if (!viewer || viewer.dataset.ready) return;
    viewer.dataset.ready = "yes";
    const canvas = find("canvas");
    canvas.addEventListener("pointermove", point);
    canvas.addEventListener("keydown", move);
    find("slider").addEventListener("input", (event) => {
      state.share = event.target.value / 100;
      draw();
    });
    for (const radio of viewer.querySelectorAll("input[type=radio]")) {
      radio.addEventListener("change", () => {
        state.mode = radio.value;
        find("slider").disabled = state.mode === "mask";
        find("slider-label").textContent = SLIDER_LABELS[state.mode];
        draw();
      });
    }
  }

  window.blurViewer = {
    show: async (packed) => {
      listen();
      await show(packed);
    },
    setThreshold: (threshold) => {
      state.threshold = threshold;
      draw();
    },
  };
})();
