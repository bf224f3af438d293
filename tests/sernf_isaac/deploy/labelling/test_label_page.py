"""The labelling page in a real browser: no edit is lost, everything can be clicked and typed."""

import shutil
import threading

import pytest

from sernf_isaac.data.store.labels import Label, add_label, read_history, read_label, revisions

pytest.importorskip("fastapi", reason="the labelling page needs the extra 'label'")
import uvicorn

from sernf_isaac.deploy.labelling.server import listen

MARKED = "#marks button"


@pytest.fixture(scope="module")
def browser():
    """A headless one."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs the system's chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def address(app):
    """A server in this process, at a free port."""
    bound = listen(0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, args=([bound],), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{bound.getsockname()[1]}/?token=open%20sesame"
    server.should_exit = True
    thread.join()


@pytest.fixture
def open_page(browser, address):
    """Opens the page in a window of its own."""
    pages = []

    def start():
        page = browser.new_page(viewport={"width": 1200, "height": 860})
        page.set_default_timeout(10_000)
        page.problems = []
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.goto(address)
        page.wait_for_selector("#title:has-text('step 0')")
        pages.append(page)
        return page

    yield start
    for page in pages:
        page.close()
        assert page.problems == []


@pytest.fixture
def page(open_page):
    return open_page()


def call_oneself(page, name: str) -> None:
    page.fill("#annotator", name)
    page.press("#annotator", "Tab")
    page.click("#title")


def press(page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def wait_for(page, selector: str, text: str) -> None:
    page.wait_for_function(
        "([at, text]) => document.querySelector(at).textContent.includes(text)",
        arg=[selector, text],
    )


def hold_saves(page) -> list:
    """Requests to save, which wait in the list until they are continued."""
    held = []
    page.route("**/labels", lambda route: held.append(route))  # it marks the function it is given
    return held


def test_a_person_can_label_with_the_keyboard(page, run, eid):
    call_oneself(page, "ann")
    press(page, "a", "ArrowRight", "ArrowRight", "Shift+ArrowRight")
    wait_for(page, "#title", "step 12 of 60")
    press(page, "r")
    wait_for(page, "#numbers", "rewards: 5 marked, 4 proposed")
    press(page, "r", "z", "f", "Enter")
    wait_for(page, "#message", "revision 1")
    label = read_label(run, eid)
    assert label.annotator == "ann" and label.success is False
    assert len(label.events) == 5 and (12, 1.0, "person") in label.events
    press(page, "n")
    page.wait_for_function("document.querySelectorAll('aside button')[1].className === 'here'")
    press(page, "s", "d", "z")  # a drop is a failure
    wait_for(page, ".verdict button.on", "success")


def test_a_person_can_label_with_buttons(page, run, eid):
    call_oneself(page, "ann")
    page.click("#accept")
    assert page.locator(MARKED).count() == 4
    page.click(f"{MARKED} >> nth=1")
    step = int(page.inner_text(f"{MARKED} >> nth=1"))
    wait_for(page, "#title", f"step {step} of 60")
    page.click("#drop")
    assert page.locator(MARKED).count() == 2
    page.click("#undo")
    assert page.locator(MARKED).count() == 4
    page.click("#reward")
    assert page.locator(MARKED).count() == 3
    page.click("#restore")
    assert page.locator(MARKED).count() == 0
    page.click("#reward")
    page.click("text=unsure")
    page.click("#save")
    wait_for(page, "#message", "revision 1")
    assert read_label(run, eid) == Label("ann", ((step, 1.0, "person"),), success=None)
    page.click("#next")
    page.click("#previous")
    wait_for(page, "#title", eid)


def test_rewards_may_have_any_size_and_sign(page, run, eid):
    call_oneself(page, "ann")
    press(page, "ArrowRight")
    page.fill("#value", "2.5")
    press(page, "Enter", "ArrowRight", "-", "-", "ArrowRight")
    page.click("#more")
    page.click("#more")
    page.click("#less")
    page.fill("#value", "1000")
    wait_for(page, "#message", "from -100 to 100")
    press(page, "Escape")
    assert page.input_value("#value") == "1"
    press(page, "Enter")
    wait_for(page, "#message", "revision 1")
    events = ((1, 2.5, "person"), (2, -2.0, "person"), (3, 1.0, "person"))
    assert read_label(run, eid).events == events


def test_an_episode_plays_until_it_is_paused_or_a_field_is_written_in(page):
    page.click("#play")
    page.wait_for_function("state.step > 2")
    assert page.inner_text("#play") == "pause"
    page.focus("#value")
    step = page.evaluate("state.step")
    page.keyboard.type("12")
    assert page.inner_text("#play") == "play" and page.inner_text(MARKED) == f"{step}: +12"
    press(page, "Escape", " ")
    wait_for(page, "#title", "step 59 of 60")
    assert page.inner_text("#play") == "play"


def test_a_step_without_a_picture_says_why(page):
    page.route("**/frames/5.jpg*", lambda route: route.fulfill(json={"detail": "gone"}, status=404))
    press(page, *["ArrowRight"] * 5)
    wait_for(page, "#no_frame", "no picture: gone")
    press(page, "z")
    wait_for(page, "#message", "nothing to undo")


def test_a_label_without_a_name_is_not_saved(page, run, eid):
    press(page, "Enter")
    wait_for(page, "#message", "annotator")
    assert revisions(run, eid) == []


def test_without_a_label_the_recorded_outcome_and_rewards_are_kept(page, run, eid):
    add_label(run, eid, Label("ann", ((3, 1.0, "person"), (5, 1.0, "person")), success=True))
    for name, marks, verdict in (("ann", 2, "success"), ("bob", 0, "failure")):
        call_oneself(page, name)
        wait_for(page, "#numbers", f"rewards: {marks} mark")
        assert page.inner_text(".verdict button.on") == verdict
    press(page, "Enter")
    wait_for(page, "#message", "revision 2")
    assert read_label(run, eid) == Label("bob", None, success=False)


def test_a_typed_note_and_edits_survive_other_episodes_and_a_reload(page, run, eids):
    call_oneself(page, "ann")
    page.fill("#note", "slipped off the thumb")
    press(page, "Escape", "r", "n")
    wait_for(page, "#title", f"{eids[1]}: step 0")
    assert page.input_value("#note") == ""
    assert page.inner_text("#unsaved") == "1 unsaved episode"
    page.reload()
    wait_for(page, "#title", f"{eids[0]}: step 0")
    assert page.input_value("#note") == "slipped off the thumb"
    assert page.locator("aside button[data-unsaved]").count() == 1
    press(page, "n")
    wait_for(page, "#title", f"{eids[1]}: step 0")
    page.click("#unsaved")
    wait_for(page, "#title", f"{eids[0]}: step 0")
    assert page.inner_text("#status") == "unsaved changes" and revisions(run, eids[0]) == []
    press(page, "Enter")
    wait_for(page, "#message", "revision 1")
    label = read_label(run, eids[0])
    assert label == Label("ann", ((0, 1.0, "person"),), False, "slipped off the thumb")
    assert page.locator("#unsaved").is_hidden()


def test_what_is_changed_during_a_slow_save_is_still_unsaved(page, run, eid):
    call_oneself(page, "ann")
    held = hold_saves(page)
    press(page, "s", "Enter")
    wait_for(page, "#status", "saving")
    page.fill("#note", "typed meanwhile")
    press(page, "Escape")
    held.pop().continue_()
    wait_for(page, "#message", "revision 1")
    assert page.inner_text("#status") == "unsaved changes"
    assert page.input_value("#note") == "typed meanwhile" and read_label(run, eid).note == ""
    press(page, "Enter")
    wait_for(page, "#status", "saving")
    press(page, "f", "Enter")  # asks for another one while this one is on its way
    held.pop().continue_()
    page.wait_for_function("state.draft.again === false && state.draft.saving")
    held.pop().continue_()
    wait_for(page, "#message", "revision 3")
    assert read_label(run, eid) == Label("ann", None, False, "typed meanwhile")


def test_an_answer_that_comes_after_another_episode_was_opened_is_for_the_first(page, run, eids):
    call_oneself(page, "ann")
    held = hold_saves(page)
    press(page, "s", "Enter", "n")
    wait_for(page, "#title", f"{eids[1]}: step 0")
    press(page, "f")
    held.pop().continue_()
    wait_for(page, "#message", f"{eids[0]} is saved as revision 1")
    assert page.inner_text("#status") == "unsaved changes" and revisions(run, eids[1]) == []
    press(page, "p")
    wait_for(page, "#title", f"{eids[0]}: step 0")
    assert page.inner_text("#status") == "your label: revision 1"


def test_two_windows_cannot_overwrite_each_other_unseen(open_page, run, eid):
    one, other = open_page(), open_page()
    for page, keys, note in ((one, ("s",), "first"), (other, ("f", "r"), "second")):
        call_oneself(page, "ann")
        page.fill("#note", note)
        press(page, "Escape", *keys)
    press(one, "Enter")
    wait_for(one, "#message", "revision 1")
    press(other, "Enter")
    wait_for(other, "#conflict_text", "success, rewards as recorded, “first”")
    assert other.inner_text("#conflict_text").startswith("Not saved") and revisions(run, eid) == [1]
    assert other.input_value("#note") == "second"
    other.click("#take_theirs")
    assert other.input_value("#note") == "first"
    assert other.inner_text("#status") == "your label: revision 1"
    other.click("#undo")  # one's own is not lost either
    assert other.input_value("#note") == "second"
    press(other, "Enter")
    wait_for(other, "#message", "revision 2")
    press(one, "u", "Enter")
    wait_for(one, "#conflict_text", "failure, rewards 1, “second”")
    one.click("#keep_mine")
    wait_for(one, "#message", "revision 3")
    notes = [label.note for label in read_history(run, eid).labels.values()]
    assert notes == ["first", "second", "first"]


def test_a_save_that_fails_says_so_and_loses_nothing(page, run, eid):
    call_oneself(page, "ann")
    page.route("**/labels", lambda route: route.abort())
    press(page, "s", "Enter")
    wait_for(page, "#message", "label.py does not answer")
    assert page.inner_text("#status") == "unsaved changes"
    page.unroute("**/labels")
    page.route("**/labels", lambda route: route.fulfill(status=500, body="Internal Server Error"))
    press(page, "Enter")
    wait_for(page, "#message", f"{eid} is not saved: label.py failed (500)")
    page.unroute("**/labels")
    press(page, "Enter")
    wait_for(page, "#message", "revision 1")


def test_an_answer_that_was_lost_is_no_conflict(page, run, eid):
    call_oneself(page, "ann")

    def lose(route):
        route.fetch()
        route.abort()

    page.route("**/labels", lose)
    press(page, "s", "Enter")
    wait_for(page, "#message", "not saved")
    page.unroute("**/labels")
    press(page, "Enter")
    wait_for(page, "#status", "your label: revision 1")
    assert revisions(run, eid) == [1] and page.locator("#conflict").is_hidden()


def test_an_episode_that_cannot_be_opened_says_so_and_keys_go_past_it(page, run, eids):
    archive = next(run.glob(f"episodes/**/*{eids[1]}*"))
    archive.write_bytes(b"")
    press(page, "n")
    wait_for(page, "#title", f"{eids[1]} cannot be opened")
    wait_for(page, "#broken", str(archive))
    assert page.get_attribute("aside button.here", "data-id") == eids[1]
    assert page.locator("#episode").is_hidden()
    press(page, "s")
    wait_for(page, "#message", "no episode is open")
    press(page, "p")
    wait_for(page, "#title", f"{eids[0]}: step 0")
    assert page.locator("#broken").is_hidden() and page.locator("#plot").is_visible()


def test_a_damaged_label_is_shown_with_its_episode(page, run, eids):
    add_label(run, eids[1], Label("ann"))
    damaged = run / "labels" / eids[1] / "0001.json"
    damaged.write_text("{")
    page.click("#refresh")
    page.wait_for_selector("aside button >> nth=1 >> text=a label cannot be used")
    press(page, "n")
    wait_for(page, "#problems", str(damaged))
    call_oneself(page, "ann")
    press(page, "s", "Enter")
    wait_for(page, "#message", "revision 2")


def test_what_is_typed_ahead_is_for_the_episode_that_is_being_opened(page, run, eids):
    call_oneself(page, "ann")
    held = []
    page.route(f"**/api/episodes/{eids[1]}?*", lambda route: held.append(route))
    press(page, "n", "s", "r", "Enter")
    wait_for(page, "#title", f"{eids[1]}: opening")
    assert page.locator("#note").is_disabled()
    held.pop().continue_()
    wait_for(page, "#message", f"{eids[1]} is saved as revision 1")
    assert revisions(run, eids[0]) == []
    assert read_label(run, eids[1]) == Label("ann", ((0, 1.0, "person"),), success=True)


@pytest.fixture
def many(run, eid):
    """Ids of the run's episodes, now forty more."""
    commit = (run / "commits" / f"{eid}.json").read_text()
    names = [f"29990101T{number:012d}-robot" for number in range(40)]
    for name in names:
        (run / "commits" / f"{name}.json").write_text(
            commit.replace(f'"id": "{eid}"', f'"id": "{name}"')
        )
    return names


def test_keys_that_jump_keep_the_selection_in_sight(many, page):
    page.click("aside button >> nth=2")
    press(page, *"n" * 27, *"np" * 5, "n", "n")  # who goes on at once need not wait for each
    wait_for(page, "#title", f"{many[29]}: step 0")
    box, around = (
        page.locator("aside button.here").bounding_box(),
        page.locator("aside").bounding_box(),
    )
    assert (
        around["y"] <= box["y"] and box["y"] + box["height"] <= around["y"] + around["height"] + 1
    )
    press(page, "End", "Home", "Shift+ArrowRight")
    assert page.get_attribute("aside button.here", "data-id") == many[29]


def test_a_filter_narrows_the_list_and_keys_walk_through_what_is_left(many, page, run, eids):
    page.select_option("#outcome", "timeout")
    wait_for(page, "#count", "1 of 42 episodes; the open one is not among them")
    press(page, "n")
    wait_for(page, "#title", f"{eids[1]}: step 0")
    page.select_option("#outcome", "")
    press(page, "/")
    page.keyboard.type("29990101 0000000003")
    wait_for(page, "#count", "11 of 42 episodes")
    press(page, "Escape", "n", "n")
    wait_for(page, "#title", f"{many[30]}: step 0")
    call_oneself(page, "ann")
    page.select_option("#labelled", "others")
    press(page, "s", "Enter")
    wait_for(page, "#count", "10 of 42 episodes")  # the open one is labelled now
    press(page, "n")
    wait_for(page, "#title", f"{many[31]}: step 0")
    assert revisions(run, many[30]) == [1]
