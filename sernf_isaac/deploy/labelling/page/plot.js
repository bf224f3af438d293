// The curves of an episode over its steps, with rewards on the first one.

const PLOT = { left: 50, right: 12, height: 430, row: 100 };
const COLOURS = { proposed: "#8fb3e0", mark: "#1a7a41", negative: "#b83227", theirs: "#d97706", recorded: "#9aa7b4" };

const rowsOf = (view) => [
  ["net turn [quarters]", view.quarters, "#2563b8"],
  ["height of the object [mm]", view.height_mm.map((height) => height - view.height_mm[0]), "#8a5a1f"],
  ["largest change of a command [rad]", view.command_rad, "#555"],
  ["age of the pose [s]", view.pose_age_s, "#8a1f5f"],
  ...(view.touch_n ? [["force on the fingertips [N]", view.touch_n, "#2a7f7a"]] : []),
];

const heightOf = (view) => PLOT.height + Math.max(0, rowsOf(view).length - 4) * PLOT.row;

function stepAt(canvas, view, offset) {
  const share = (offset - PLOT.left) / (canvas.clientWidth - PLOT.left - PLOT.right);
  return Math.round(share * (view.steps - 1));
}

function drawPlot(canvas, view, { step, marks, theirs }) {
  const height = heightOf(view), context = cleared(canvas, height), width = canvas.clientWidth - PLOT.left - PLOT.right;
  const x = (at) => PLOT.left + at / Math.max(1, view.steps - 1) * width;
  const inside = (event) => event[0] < view.steps;
  rowsOf(view).forEach(([name, values, colour], row) => {
    const box = { top: 20 + row * PLOT.row, bottom: 92 + row * PLOT.row, x };
    context.fillStyle = "#1d2733";
    context.fillText(name, PLOT.left, box.top - 6);
    const y = drawCurve(context, box, values, colour);
    if (row === 0) {
      drawLegend(context, canvas.clientWidth, theirs);
      view.recorded.forEach(([at]) => bar(context, x(at), box.bottom, COLOURS.recorded));
      view.proposed.forEach(([at]) => dot(context, x(at), y(values[at]), 8, COLOURS.proposed, false));
      (theirs || []).filter(inside).forEach(([at]) => dot(context, x(at), y(values[at]), 11, COLOURS.theirs, false));
      marks.filter(inside).forEach((event) => drawMark(context, x(event[0]), y(values[event[0]]), event[1]));
    }
    if (row === 3) view.underrun.forEach((late, at) => { if (late) bar(context, x(at), box.bottom, COLOURS.negative); });
  });
  context.strokeStyle = "#b83227";
  context.beginPath();
  context.moveTo(x(step), 6);
  context.lineTo(x(step), height - 6);
  context.stroke();
}

function cleared(canvas, height) {
  const ratio = devicePixelRatio || 1;
  canvas.style.height = `${height}px`;
  canvas.width = canvas.clientWidth * ratio;
  canvas.height = height * ratio;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.font = "11px system-ui, sans-serif";
  return context;
}

function drawCurve(context, box, values, colour) {
  let low = 0, high = 1e-9;
  for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); }
  const y = (value) => box.bottom - (value - low) / (high - low) * (box.bottom - box.top);
  context.strokeStyle = colour;
  context.beginPath();
  values.forEach((value, step) => context.lineTo(box.x(step), y(value)));
  context.stroke();
  context.fillStyle = "#64717e";
  context.fillText(high.toPrecision(3), 4, box.top + 8);
  context.fillText(low.toPrecision(3), 4, box.bottom);
  return y;
}

function drawMark(context, x, y, value) {
  const colour = value < 0 ? COLOURS.negative : COLOURS.mark;
  dot(context, x, y, 5, colour, true);
  if (value !== 1) context.fillText(signed(value), x + 7, y - 5);
}

function drawLegend(context, width, theirs) {
  const entries = [["proposed", COLOURS.proposed, 6, false], ["reward", COLOURS.mark, 5, true]];
  if (theirs) entries.push(["saved elsewhere", COLOURS.theirs, 6, false]);
  let x = width - PLOT.right;
  for (const [text, colour, radius, filled] of entries) {
    x -= context.measureText(text).width;
    context.fillStyle = "#64717e";
    context.fillText(text, x, 14);
    dot(context, x - 10, 10, radius, colour, filled);
    x -= 34;
  }
}

function dot(context, x, y, radius, colour, filled) {
  context.fillStyle = context.strokeStyle = colour;
  context.beginPath();
  context.arc(x, y, radius, 0, 7);
  if (filled) context.fill(); else context.stroke();
}

function bar(context, x, y, colour) {
  context.fillStyle = colour;
  context.fillRect(x, y, 2, 5);
}

function signed(value) { return value > 0 ? `+${value}` : String(value); }
