#!/usr/bin/env python3
"""Looks at the dashboard in Chromium as a person does, and writes down what held.

The address and the token come from a client configuration, what is to be seen from a file of facts: never from
arguments, which others can read. The results go to a file: `{"checks": [{"name", "problem"}]}`, where all were made.

A check waits for what it wants to see, and fails after a while that only a hang takes.
"""

import argparse
import base64
import contextlib
import ctypes
import http.client
import json
import os
import signal
import sys
import tempfile
import traceback

from selenium import webdriver
from selenium.common.exceptions import NoAlertPresentException, StaleElementReferenceException, TimeoutException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
PATIENCE = 20
WIDTHS = {400: 860, 1400: 1000}
HEADINGS = {"/": "Overview", "/queue": "Queue", "/leases": "Leases", "/nodes": "Nodes", "/data": "Data",
            "/runs": "Runs", "/groups": "Groups", "/events": "Events"}
COOKIE = "baton_token"


class Browser:
    """A Chromium of its own, with a profile that goes with it."""

    def __init__(self, url, folder, scripts=True):
        self.url = url
        options = Options()
        options.binary_location = CHROMIUM
        # A container has neither a sandbox that works as root nor much shared memory.
        for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                     "--no-first-run", "--disable-background-networking", f"--user-data-dir={folder}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        options.set_capability("unhandledPromptBehavior", "ignore")
        if not scripts:
            options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        self.driver.set_page_load_timeout(PATIENCE)
        self.driver.set_script_timeout(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.driver.quit()

    def visit(self, path):
        self.driver.get(self.url + path)

    @property
    def path(self):
        return self.driver.current_url.removeprefix(self.url)

    def ask(self, expression, *arguments):
        """The value of an expression of the page, all of one moment: live pages change at any time."""
        return self.driver.execute_script(f"return {expression}", *arguments)

    def text(self, selector):
        return self.ask("document.querySelector(arguments[0])?.textContent.trim() ?? null", selector)

    def texts(self, selector):
        return self.ask("Array.from(document.querySelectorAll(arguments[0]), e => e.textContent.trim())", selector)

    def wait(self, what, condition):
        """What `condition` gives once it is not false."""
        wait = WebDriverWait(self.driver, PATIENCE, 0.05, ignored_exceptions=[StaleElementReferenceException])
        try:
            return wait.until(lambda _: condition())
        except TimeoutException:
            raise AssertionError(f"{what}: not seen on {self.path}: {self.text('main')!r:.600}") from None

    def click(self, by, value):
        self.wait(f"something to click at {value}",
                  lambda: [self.driver.find_element(by, value).click()])

    def resize(self, width, height):
        """As wide as a telephone too, which no window is."""
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def cookie(self):
        return self.driver.get_cookie(COOKIE)

    def sign_in(self, token):
        field = self.driver.find_element(By.NAME, "token")
        field.send_keys(token)
        field.submit()

    def get(self, path, token):
        """What a person with this token gets: the status, the head and the bytes."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://").rstrip("/"), timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Cookie": f"{COOKIE}={token}"} if token else {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def send(self, path, body, token, site=None):
        """A form that no page of ours has sent: the status, and where it leads to."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if token:
            headers["Cookie"] = f"{COOKIE}={token}"
        if site:
            headers["Sec-Fetch-Site"] = site
        connection = http.client.HTTPConnection(self.url.removeprefix("http://").rstrip("/"), timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheader("Location")

    def complaints(self):
        """What the console said since it was asked last; a refused page is said there as well, and is none."""
        lines = [line["message"] for line in self.driver.get_log("browser")]
        return [line for line in lines if "the server responded with a status of 40" not in line]

    def picture(self, folder, name):
        """Writes all of the page to a file."""
        if folder:
            shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
            with open(f"{folder}/{name}.png", "wb") as file:
                file.write(base64.b64decode(shot["data"]))


class Checks:
    """What was looked at, and what was wrong with it."""

    def __init__(self, facts):
        self.facts = facts
        self.pictures = facts.get("pictures")
        self.results = []

    @contextlib.contextmanager
    def check(self, name):
        problem = None
        try:
            yield
        except AssertionError as error:
            problem = str(error) or traceback.format_exc(limit=-1)
        except Exception:  # One look that fails leaves the others their turn.
            problem = traceback.format_exc()
        self.results.append({"name": name, "problem": problem})

    # What comes before a person is known.

    def refuses_strangers(self, browser):
        with self.check("a page sends strangers to the login, and a wrong token gets no cookie"):
            browser.visit("/queue")
            same(browser.path, "/login?next=%2Fqueue")
            browser.sign_in("this-is-no-token")
            alert = browser.wait("an error", lambda: browser.text("[role=alert]"))
            assert "not known here" in alert, alert
            same(browser.text("h1"), "Sign in")
            same(browser.cookie(), None)
            browser.visit("/queue")
            same(browser.text("h1"), "Sign in")

    def signs_in(self, browser, token):
        with self.check("a token signs in, leads to where one wanted to go, and is kept from scripts"):
            for width, height in WIDTHS.items():
                browser.resize(width, height)
                fits(browser)
                browser.picture(self.pictures, f"login-{width}")
            browser.sign_in(token)
            browser.wait("the queue", lambda: browser.path == "/queue")
            cookie = browser.cookie()
            assert cookie["httpOnly"] and cookie["sameSite"] == "Strict", "scripts or other sites reach the token"
            same(browser.ask("document.cookie"), "")
            same(browser.complaints(), [])

    # What a person sees.

    def pages(self):
        run = f"/runs/{self.facts['running']}"
        return {**HEADINGS, run: self.facts["name"], f"/runs/{self.facts['waiting']}": self.facts["waitingName"],
                f"/runs/{self.facts['kept']}": "leaves",
                f"/groups/{self.facts['group']}": self.facts["groupName"],
                f"/events?subject=job-{self.facts['running']}": "Events"}

    def shows_every_page(self, browser):
        for path, heading in self.pages().items():
            with self.check(f"{path} has its heading, fits, and breaks no rule of its own"):
                for width, height in WIDTHS.items():
                    browser.resize(width, height)
                    browser.visit(path)
                    browser.wait("live", lambda: browser.ask("document.querySelector('#live.is-live') !== null"))
                    assert browser.text("h1").startswith(heading), browser.text("h1")
                    assert browser.driver.title.endswith(" · Baton"), browser.driver.title
                    fits(browser)
                    name = "overview" if path == "/" else path.strip("/").translate(str.maketrans("/?=", "---"))
                    browser.picture(self.pictures, f"{name}-{width}")
                same(browser.complaints(), [])

    def shows_the_dark(self, browser):
        if not self.pictures:
            return
        browser.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})
        for path in ("/", "/leases", f"/runs/{self.facts['running']}"):
            browser.visit(path)
            browser.resize(1400, 1000)
            browser.picture(self.pictures, f"dark-{path.strip('/').replace('/', '-') or 'overview'}")
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})

    def goes_by_clicking(self, browser):
        with self.check("the navigation leads to every page, and says where one is"):
            browser.visit("/")
            for path, heading in HEADINGS.items():
                browser.click(By.CSS_SELECTOR, f'nav a[href="{path}"]')
                browser.wait(heading, lambda: browser.path == path and browser.text("h1").startswith(heading))
                same(browser.texts("nav a[aria-current=page]"), [heading])
        with self.check("a job in the queue leads to its run"):
            browser.visit("/queue")
            browser.click(By.LINK_TEXT, self.facts["name"])
            browser.wait("the run", lambda: browser.path == f"/runs/{self.facts['running']}")
        with self.check("the window of the chart of leases can be chosen"):
            browser.visit("/leases")
            browser.click(By.LINK_TEXT, "6 h")
            browser.wait("6 hours", lambda: browser.path == "/leases?window=6h" and browser.text("h1") == "Leases")

    def says_what_is_so(self, browser):
        with self.check("stand-in GPUs are named as such on every node"):
            browser.visit("/nodes")
            rows = browser.texts("tbody tr")
            same(len(rows), len(self.facts["nodes"]))
            for node, row in zip(self.facts["nodes"], rows):
                assert node in row and "stand-in GPU" in row, row
            same(browser.texts("tbody tr .chip"), ["stand-in"] * len(rows))
        with self.check("the queue says in a sentence why a job waits"):
            browser.visit("/queue")
            row = browser.ask("document.querySelector(arguments[0]).closest('tr').innerText",
                              f'a[href="/runs/{self.facts["waiting"]}"]')
            assert self.facts["reason"] in row, row
        with self.check("the chart of leases has a bar with the lease's name for each node"):
            browser.visit("/leases")
            same(browser.texts(".chart-names text"), [node * 2 for node in self.facts["nodes"]])
            bars = browser.ask("Array.from(document.querySelectorAll('.lease-chart svg svg'), e =>"
                               " [e.querySelector('text').textContent, e.getBoundingClientRect().width])")
            same([name for name, _ in bars], [self.facts["lease"]] * len(self.facts["nodes"]))
            assert all(width > 100 for _, width in bars), bars
            # Of the run that left artifacts, and of the one that runs.
            same(browser.ask("document.querySelectorAll('.lease-chart .attempt').length"), 2)
        with self.check("a curve shows from its first step to its last, on a telephone too"):
            browser.visit(f"/runs/{self.facts['running']}")
            for width in (400, 700, 900, 1400):
                browser.resize(width, 900)
                fits(browser)
                box, room = browser.ask(
                    "(e => [e.scrollWidth, e.clientWidth])(document.querySelector('.chart-scroll'))")
                assert box <= room, f"the curve is {box} wide in {room} on a page of {width}"
        with self.check("a run that does not exist is said so in the layout"):
            browser.visit("/runs/4711")
            same(browser.text("h1"), "There is no such thing")
            assert "4711" in browser.text(".notice"), browser.text(".notice")
            same(browser.texts("nav a"), list(HEADINGS.values()))
            for width, height in WIDTHS.items():
                browser.resize(width, height)
                fits(browser)
                browser.picture(self.pictures, f"unknown-run-{width}")
            same(browser.complaints(), [])

    def shows_hostile_names_as_text(self, browser):
        with self.check("a job's name is text wherever it shows"):
            name = self.facts["name"]
            for path in ("/", "/queue", "/runs", "/leases", f"/runs/{self.facts['running']}"):
                browser.visit(path)
                assert name in browser.text("main"), f"the name is not on {path}"
                same(browser.ask("document.querySelectorAll('img').length"), 0)
            same(browser.driver.title, f"{name} · Baton")
            with contextlib.suppress(NoAlertPresentException):
                raise AssertionError(f"the page says: {browser.driver.switch_to.alert.text}")
        with self.check("the browser would refuse a script that came into a page"):
            browser.driver.execute_script(
                "document.body.append(Object.assign(document.createElement('script'), {text: 'window.isBroken = 1'}))")
            same(browser.ask("window.isBroken ?? null"), None)
            assert "Content Security Policy" in browser.wait("a refusal", lambda: "".join(browser.complaints()))

    def fetches_an_artifact(self, browser, token):
        run, name = f"/runs/{self.facts['kept']}", self.facts["artifact"]
        with self.check("a run lists what its ranks left, whatever it is called"):
            browser.visit(run)
            same(browser.texts("#artifacts tbody a"), [name])
            same(browser.ask("document.querySelectorAll('img').length"), 0)
            browser.click(By.CSS_SELECTOR, f'.facts a[href="{run}#artifacts"]')
        with self.check("a browser keeps an artifact as a file, and runs nothing of it"):
            browser.visit(run)
            link = browser.driver.find_element(By.CSS_SELECTOR, "#artifacts tbody a").get_attribute("href")
            status, head, body = browser.get(link.removeprefix(browser.url), token)
            same((status, body.decode()), (200, self.facts["artifactText"]))
            same((head["Content-Type"], head["X-Content-Type-Options"]), ("application/octet-stream", "nosniff"))
            same(head["Content-Length"], str(len(self.facts["artifactText"])))
            assert head["Content-Disposition"].startswith("attachment; filename="), head["Content-Disposition"]
            browser.click(By.CSS_SELECTOR, "#artifacts tbody a")
            browser.visit(run)
            same(browser.driver.title, "leaves · Baton")
        with self.check("an artifact is fetched by those of its project, and by nobody else"):
            path = link.removeprefix(browser.url)
            same(browser.get(path, self.facts["viewer"])[0], 200)
            status, head, body = browser.get(path, None)
            assert status == 303 and head["Location"].startswith("/login"), (status, head["Location"])
            for where in (path, run):
                status, _, body = browser.get(where, self.facts["stranger"])
                same(status, 404)
                assert b"There is no such thing" in body and b"onerror" not in body, body
            same(browser.get(path.replace("attempt=1", "attempt=9"), token)[0], 404)
            same(browser.get(path.split("?")[0] + "?path=../rank-0.log&attempt=1&node=0", token)[0], 404)

    def ends_a_group(self, browser, token):
        group = f"/groups/{self.facts['group']}"
        states = "Array.from(document.querySelectorAll('.states li'), e => e.innerText.split(/\\s+/).join(' '))"
        with self.check("a job leads to its group, which shows what its jobs have"):
            browser.visit("/queue")
            browser.click(By.LINK_TEXT, f"group-{self.facts['group']}")
            browser.wait("the group", lambda: browser.path == group)
            assert self.facts["groupValue"] in browser.texts("td.value"), browser.texts("td.value")
            same(browser.ask(states), ["PENDING 2"])
        with self.check("the groups are listed by whether they are over, and lead to each"):
            browser.visit("/runs")
            browser.click(By.LINK_TEXT, "Groups of jobs")
            rows = "Array.from(document.querySelectorAll('tbody tr'), e => e.innerText.split(/\\s+/).join(' '))"
            row = browser.wait("the group", lambda: browser.path == "/groups" and browser.ask(rows))
            same(len(row), 1)
            for words in (self.facts["groupName"], f"group-{self.facts['group']}", "2 PENDING", "0 of 2"):
                assert words in row[0], f"{words} is not in {row[0]}"
            browser.click(By.LINK_TEXT, "Over")
            browser.wait("none", lambda: browser.text(".empty-title") == "No group is over")
            same(browser.texts(".links a[aria-current]"), ["Over"])
            browser.click(By.LINK_TEXT, "Not over")
            browser.click(By.LINK_TEXT, self.facts["groupName"])
            browser.wait("the group", lambda: browser.path == group)
            same(browser.get("/groups?show=some", token)[0], 400)
            assert b"No group yet" in browser.get("/groups", self.facts["stranger"])[2], "another project's is listed"
        with self.check("another site's form, one without a token, and one of somebody who only looks end nothing"):
            same(browser.send(f"{group}/cancel", b"how=now", token, site="cross-site"), (403, None))
            same(browser.send(f"{group}/cancel", b"how=now", None), (303, "/login"))
            same(browser.send(f"{group}/cancel", b"how=now", self.facts["viewer"]), (403, None))
            same(browser.send(f"{group}/cancel", b"", token), (400, None))
            browser.visit(group)
            same(browser.ask(states), ["PENDING 2"])
        with self.check("a person ends a group"):
            browser.visit(group)
            browser.click(By.CSS_SELECTOR, "#cancel summary")
            browser.click(By.CSS_SELECTOR, "#cancel button[value=save]")
            browser.wait("the end", lambda: browser.path == group and browser.ask(states) == ["CANCELLED 2"])
            same(browser.ask("document.getElementById('cancel')"), None)
            browser.visit("/groups?show=over")
            browser.wait("it among those that are over", lambda: "2 of 2" in (browser.text("tbody tr") or ""))
            same(browser.complaints(), [])

    # What happens while a person looks.

    def grows(self, browser):
        run = f"/runs/{self.facts['running']}"
        points = "document.querySelector('path.curve').getAttribute('d').split('L').length"
        last = "document.querySelectorAll('.facts dd')[1].textContent.replace(/[^0-9]/g, '')"
        with self.check("the curve of a run grows without a reload"):
            browser.visit(run)
            browser.driver.execute_script("window.isSame = true")
            before = (browser.ask(points), int(browser.ask(last)))
            assert before[0] > 1, before
            browser.wait("more points", lambda: browser.ask(points) > before[0] and int(browser.ask(last)) > before[1])
            assert browser.ask("window.isSame ?? false"), "the page was loaded again"
            same(browser.complaints(), [])
        with self.check("what a person opened, focused or marked stays while the page grows"):
            browser.visit(run)
            browser.driver.execute_script(
                "document.getElementById('job-file').open = false;"
                "document.querySelector('.picker a').focus();"
                "getSelection().selectAllChildren(document.querySelector('h1'));")
            before = browser.ask(points)
            browser.wait("more points", lambda: browser.ask(points) > before)
            same(browser.ask("document.getElementById('job-file').open"), False)
            same(browser.ask("document.activeElement.matches('.picker a')"), True)
            assert self.facts["name"] in browser.ask("getSelection().toString()"), "what was marked is not any more"
        with self.check("the time left of a lease counts down"):
            browser.visit("/")
            left = "document.querySelector('time.countdown').textContent"
            before = browser.ask(left)
            browser.wait("less time", lambda: browser.ask(left) != before)

    # The end.

    def signs_out(self, browser):
        with self.check("signing out ends access, on the way back as well"):
            browser.visit("/queue")
            browser.click(By.CSS_SELECTOR, ".who button")
            browser.wait("the login", lambda: browser.path == "/login" and browser.text("h1") == "Sign in")
            same(browser.cookie(), None)
            browser.driver.back()
            browser.wait("the login", lambda: browser.text("h1") == "Sign in")
            browser.visit(f"/runs/{self.facts['running']}")
            same(browser.text("h1"), "Sign in")

    def works_without_scripts(self, browser, token):
        """Elements are found by the driver here: pages run nothing."""
        def heading():
            return browser.driver.find_element(By.TAG_NAME, "h1").text

        with self.check("all of it shows without JavaScript"):
            browser.visit("/login")
            browser.driver.find_element(By.NAME, "token").send_keys(token)
            browser.driver.find_element(By.CSS_SELECTOR, "form button").click()
            browser.wait("the overview", lambda: heading() == "Overview")
            for path, expected in self.pages().items():
                browser.visit(path)
                assert heading().startswith(expected), f"{path}: {heading()}"
                assert not browser.driver.find_element(By.ID, "live").is_displayed(), "it says that it is live"
            browser.visit(f"/runs/{self.facts['running']}")
            assert browser.driver.find_element(By.CSS_SELECTOR, "path.curve").is_displayed(), "no curve"
            browser.picture(self.pictures, "no-scripts-run")
            browser.click(By.CSS_SELECTOR, ".who button")
            browser.wait("the login", lambda: heading() == "Sign in")


def same(found, expected):
    assert found == expected, f"expected {expected!r}, found {found!r}"


def fits(browser):
    """Nothing sticks out at the side, other than inside of what scrolls by itself."""
    width, room = browser.ask("[document.scrollingElement.scrollWidth, innerWidth]")
    wide = browser.ask("Array.from(document.querySelectorAll('body *')).filter(e => e.getBoundingClientRect().right"
                       " > innerWidth + 1 && !e.closest('.chart-scroll, .scroll, pre')).map(e => e.outerHTML)")
    assert width <= room and not wide, f"{browser.path} is {width} wide in {room}: {wide!r:.600}"
    cut = browser.ask("Array.from(document.querySelectorAll('nav, .who')).some(e => e.scrollWidth > e.clientWidth)")
    assert not cut, f"the head of {browser.path} is cut off in {room}"


def adopt_orphans():
    """Makes this process the parent of whatever the browser leaves behind."""
    if ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0) != 0:  # PR_SET_CHILD_SUBREAPER
        raise OSError(ctypes.get_errno(), "prctl")


def kill_children():
    """Ends what is left of the browser, until nothing is."""
    while True:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            children = [int(word) for word in file.read().split()]
        for child in children:
            os.kill(child, signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return


class Hung(BaseException):
    """It took longer than it may; no check is to take it for its own failure."""


def look(client, checks):
    with tempfile.TemporaryDirectory(prefix="baton-browser-", ignore_cleanup_errors=True) as folder:
        # Whatever the browser keeps beside its profile goes with it too.
        os.environ.update(HOME=folder, TMPDIR=folder, XDG_CONFIG_HOME=folder, XDG_CACHE_HOME=folder)
        try:
            with Browser(client["url"], f"{folder}/profile") as browser:
                checks.refuses_strangers(browser)
                checks.signs_in(browser, client["token"])
                if checks.results[-1]["problem"]:
                    return  # All that follows would wait in vain.
                checks.shows_every_page(browser)
                checks.goes_by_clicking(browser)
                checks.says_what_is_so(browser)
                checks.shows_hostile_names_as_text(browser)
                checks.fetches_an_artifact(browser, client["token"])
                checks.ends_a_group(browser, client["token"])
                checks.grows(browser)
                checks.shows_the_dark(browser)
                checks.signs_out(browser)
            with Browser(client["url"], f"{folder}/without-scripts", scripts=False) as browser:
                checks.works_without_scripts(browser, client["token"])
        finally:
            kill_children()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--client", required=True, help="file with the address and the token")
    parser.add_argument("--facts", required=True, help="file with what is to be seen")
    parser.add_argument("--results", required=True, help="file for what was found")
    parser.add_argument("--limit", type=int, default=180, help="seconds after which it has hung")
    options = parser.parse_args()
    with open(options.client, encoding="utf-8") as file:
        client = json.load(file)
    with open(options.facts, encoding="utf-8") as file:
        facts = json.load(file)

    def hung(*_):
        raise Hung(f"not done after {options.limit} seconds")

    signal.signal(signal.SIGALRM, hung)
    signal.alarm(options.limit)
    adopt_orphans()
    checks = Checks(facts)
    try:
        look(client, checks)
    except Hung as error:
        checks.results.append({"name": "all of it", "problem": str(error)})
    with open(options.results, "w", encoding="utf-8") as file:
        json.dump({"checks": checks.results}, file)


if __name__ == "__main__":
    sys.exit(main())
