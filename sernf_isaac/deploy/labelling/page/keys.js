// What keys, buttons and fields do; the last file, which starts the page.

const WRITES = "input[type=text], input[type=number], textarea, select";
const JUMPS = ["n", "p"];
let keys = Promise.resolve();
let waiting = 0;

function then(act) {  // what is typed ahead waits for the episode that is being opened
  waiting++;
  keys = keys.then(act).catch(sayError).finally(() => { waiting--; });
}

function jump(act) {  // if nothing was typed for that episode, it need not come first
  if (waiting) return then(act);
  const opened = act();
  keys = keys.then(() => opened).catch(sayError);
}

const KEYS = {
  ArrowLeft: (event) => go(state.step - (event.shiftKey ? 10 : 1)),
  ArrowRight: (event) => go(state.step + (event.shiftKey ? 10 : 1)),
  Home: () => go(0), End: () => go(Infinity), "[": () => goToMark(-1), "]": () => goToMark(1), " ": play,
  r: toggleReward, "+": () => addReward(1), "-": () => addReward(-1), a: accept, o: restore, d: dropHere, z: undo,
  s: () => judge(true), f: () => judge(false), u: () => judge(null), Enter: () => { save(); },
  n: () => openNeighbour(1), p: () => openNeighbour(-1),
  "/": () => $("text").focus(), e: () => $("note").focus(), "?": () => { $("help").open = !$("help").open; },
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches(WRITES)) {
    if (event.key === "Escape" || event.key === "Enter" && !event.target.matches("textarea")) event.target.blur();
    return;
  }
  if (event.target.matches("button, summary") && (event.key === "Enter" || event.key === " ")) return;  // its own
  if (!KEYS[event.key]) return;
  event.preventDefault();
  (JUMPS.includes(event.key) ? jump : then)(() => KEYS[event.key](event));
});
document.addEventListener("mousedown", (event) => {  // a click leaves the keys to the page
  if (!event.target.closest("button")) return;
  event.preventDefault();
  document.activeElement.blur();
});

const CLICKS = {
  accept, restore, drop: dropHere, reward: toggleReward, less: () => addReward(-1), more: () => addReward(1), undo, save, play,
  previous: () => openNeighbour(-1), next: () => openNeighbour(1), unsaved: openUnsaved,
  keep_mine: keepMine, take_theirs: takeTheirs, refresh: () => lookAgain().catch(sayError),
};
for (const [id, act] of Object.entries(CLICKS)) $(id).onclick = act;
document.querySelectorAll(".verdict button").forEach((button) => {
  button.onclick = () => judge(JSON.parse(button.dataset.success));
});
$("scrub").oninput = () => go(Number($("scrub").value));
$("scrub").onkeydown = (event) => event.preventDefault();  // the page's own keys move one step
$("plot").onclick = (event) => { if (state.view) go(stepAt($("plot"), state.view, event.offsetX)); };
$("note").onfocus = $("value").onfocus = () => {  // one undo per visit; what is typed is for the step that is shown
  stop();
  if (state.draft) state.draft.tag = null;
};
$("note").oninput = () => change({ note: $("note").value }, "note");
$("value").oninput = () => setReward($("value").valueAsNumber, `value ${state.step}`);
$("value").onblur = draw;
$("frame").onerror = noFrame;
$("frame").onload = someFrame;
$("annotator").onchange = lookAsSomebodyElse;

let typing = null;
$("text").oninput = () => {
  clearTimeout(typing);
  typing = setTimeout(() => refresh().catch(sayError), 150);
};
for (const id of ["outcome", "labelled"]) $(id).onchange = () => { $(id).blur(); refresh().catch(sayError); };

window.onbeforeunload = (event) => { if (drafts && drafts.unsaved().length) event.preventDefault(); };
window.onfocus = () => { if (drafts) lookAgain().catch(sayError); };
window.onresize = draw;
$("annotator").value = localStorage.getItem("annotator") || "";
then(refresh);
then(() => list.rows.length ? open(list.rows[0].id) : say("this run has no episodes yet"));
