// What is open, and what is done to it.

const $ = (id) => document.getElementById(id);
const state = { view: null, draft: null, step: 0, looking: null, hasFrames: false };
const list = new EpisodeList($("list"), open);
let drafts = null;
let playing = null;

const annotator = () => $("annotator").value.trim();
const marks = () => state.draft.content.events || state.view.recorded;
const rewardAt = (step) => marks().reduce((sum, event) => sum + (event[0] === step ? event[1] : 0), 0);

function say(text, bad = false) {
  $("message").textContent = text;
  $("message").className = bad ? "bad" : "";
}

const sayError = (error) => say(error.message, true);

// The list ------------------------------------------------------------------------------------------------------------

async function refresh() {
  const filter = { annotator: annotator(), text: $("text").value, outcome: $("outcome").value, labelled: $("labelled").value };
  const answer = await list.refresh(filter);
  if (!answer) return;
  drafts = drafts || new Drafts(answer.run);
  state.hasFrames = answer.has_frames;
  $("picture").hidden = !answer.has_frames;
  offer($("outcome"), answer.outcomes);
  const away = list.selected && !list.buttons.has(list.selected) ? "; the open one is not among them" : "";
  $("count").textContent = `${list.rows.length} of ${list.total} episodes${away}`;
  drawUnsaved();
}

function offer(select, names) {
  const chosen = select.value;
  select.replaceChildren(select.options[0], ...names.map((name) => new Option(name)));
  select.value = names.includes(chosen) ? chosen : "";
}

function drawUnsaved() {
  const ids = drafts.unsaved();
  list.markUnsaved(ids);
  $("unsaved").hidden = !ids.length;
  $("unsaved").textContent = ids.length === 1 ? "1 unsaved episode" : `${ids.length} unsaved episodes`;
}

function openUnsaved() {
  const ids = drafts.unsaved(), here = ids.indexOf(list.selected);
  if (ids.length) open(ids[(here + 1) % ids.length]);
}

function openNeighbour(offset) {
  const row = list.neighbour(offset);
  if (row) return open(row.id);
  say(offset > 0 ? "that was the last episode of the list" : "that was the first episode of the list");
}

// Opening an episode --------------------------------------------------------------------------------------------------

const look = (id, signal) => ask(`/api/episodes/${id}?annotator=${encodeURIComponent(annotator())}`, { signal });

async function open(id, step = 0) {
  stop();
  if (state.looking) state.looking.abort();  // nobody waits for the episode before any more
  const looking = state.looking = new AbortController();
  state.view = state.draft = null;  // what is typed from now on is not for the episode before
  list.select(id);
  say("");
  drawAround(`${id}: opening`);
  let view;
  try {
    view = await look(id, looking.signal);
  } catch (error) {
    if (looking === state.looking) showBroken(id, error);
    return;
  }
  if (looking === state.looking) show(view, step);
}

function showBroken(id, error) {
  drawAround(`${id} cannot be opened`);
  const kept = drafts.unsaved().includes(id) ? " What you changed and did not save is kept." : "";
  $("broken").textContent = `${error.message}.${kept}`;
  $("broken").hidden = false;
  $("episode").hidden = true;
}

function show(view, step) {
  state.view = view;
  state.draft = drafts.open(view, annotator());
  $("episode").hidden = false;
  $("scrub").max = view.steps - 1;
  go(step);
}

function lookAsSomebodyElse() {
  localStorage.setItem("annotator", annotator());
  const { draft, step } = state;
  if (list.selected && !(draft && (draft.dirty || draft.saving))) {  // else it is saved under the new name
    const opened = open(list.selected, draft ? step : 0);
    then(() => opened);
  }
  refresh().catch(sayError);
}

async function lookAgain() {  // others, or other windows, may have saved
  await refresh();
  const { view, draft } = state;
  if (!view || draft.dirty || draft.saving) return;
  const seen = await look(view.id);
  if (state.draft !== draft || draft.dirty || draft.saving) return;  // they went on meanwhile
  if (seen.revision !== draft.revision) return show(seen, state.step);
  state.view = seen;
  draw();
}

function paragraph(text) {
  const made = document.createElement("p");
  made.textContent = text;
  return made;
}

// Moving through it ---------------------------------------------------------------------------------------------------

function go(step) {
  if (!state.view) return;
  state.step = Math.max(0, Math.min(state.view.steps - 1, step));
  drawFrame();
  draw();
}

function goToMark(direction) {
  if (!state.view) return;
  const steps = [...marks(), ...state.view.proposed].map((event) => event[0]);
  const beyond = steps.filter((step) => (step - state.step) * direction > 0);
  if (beyond.length) go(direction > 0 ? Math.min(...beyond) : Math.max(...beyond));
  else say("there is no reward or proposal further on");
}

function play() {
  if (playing) return stop();
  if (!state.view) return;
  if (state.step >= state.view.steps - 1) go(0);
  $("play").textContent = "pause";
  playing = setInterval(() => {
    go(state.step + 1);
    if (!state.view || state.step >= state.view.steps - 1) stop();
  }, 1000 / state.view.rate_hz);
}

function stop() {
  clearInterval(playing);
  playing = null;
  $("play").textContent = "play";
}

// Changing it ---------------------------------------------------------------------------------------------------------

function change(parts, tag) {
  if (!state.draft) return say("no episode is open", true);
  state.draft.change(parts, tag);
  changed();
}

function changed() {
  if (!drafts.keep()) say("this browser keeps nothing: a reload of this tab would lose what is unsaved", true);
  draw();
}

function setReward(value, tag) {
  if (!state.draft) return say("no episode is open", true);
  if (!(Math.abs(value) <= 100)) return say("a reward is a number from -100 to 100", true);
  const others = marks().filter((event) => event[0] !== state.step);
  const here = value ? [[state.step, value, "person"]] : [];
  change({ events: [...others, ...here].sort((one, other) => one[0] - other[0]) }, tag);
}

const judge = (success) => change({ success });
const accept = () => state.view && change({ events: state.view.proposed.map((event) => [...event]) });
const restore = () => change({ events: null });
const toggleReward = () => state.draft && setReward(rewardAt(state.step) ? 0 : 1);
const addReward = (more) => state.draft && setReward(rewardAt(state.step) + more);
const dropHere = () => state.draft && change({ success: false, events: marks().filter((event) => event[0] <= state.step) });

function undo() {
  if (!state.draft || !state.draft.past.length) return say("nothing to undo");
  state.draft.undo();
  changed();
}
