"""The web page in a browser: ask, read, cite, follow up, upload, sign in and out; and the page of the API.

Debian's Chromium, or what CHROMIUM names. With SCREENSHOTS a folder, pictures of the page go there.
"""
import json
import os
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "http"))

from playwright.sync_api import expect, sync_playwright  # noqa: E402
from server import ServerTest  # noqa: E402

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]
QUESTION = "How many days of annual leave do employees get?"
PASSWORD = "a password for tests"
PATIENCE_MS = 60000  # for machines that are busy

expect.set_options(timeout=PATIENCE_MS)


class Web(ServerTest):
    with_samples = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.playwright = sync_playwright().start()
        cls.browser = cls.playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.playwright.stop()
        super().tearDownClass()

    def setUp(self):
        self.context = self.browser.new_context(viewport={"width": 1180, "height": 900})
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.faults = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        # What the Content-Security-Policy forbids is said on the console.
        self.page.on("console", lambda m: "Content Security Policy" in m.text and self.faults.append(m.text))

    def tearDown(self):
        self.context.close()
        self.assertEqual(self.faults, [])

    def ask_page(self, question):
        turns = self.page.locator(".turn")
        before = turns.count()
        self.page.fill("#question", question)
        self.page.press("#question", "Enter")
        expect(turns).to_have_count(before + 1)
        turn = turns.nth(before)
        expect(turn.locator(".facts")).not_to_be_empty()
        return turn

    def picture(self, name):
        if os.environ.get("SCREENSHOTS"):
            self.page.screenshot(path=os.path.join(os.environ["SCREENSHOTS"], name + ".png"))


class Open(Web):
    settings = {"TARS_AUTH": "open"}

    def setUp(self):
        super().setUp()
        self.page.goto(self.url + "/ui")
        expect(self.page.locator("#question")).to_be_visible()

    def test_signs_in_by_itself(self):
        expect(self.page.locator("#status")).to_contain_text("passages")
        self.assertEqual(self.page.evaluate("Boolean(localStorage.getItem('tars_auth_token'))"), True)
        self.assertRegex(self.page.evaluate("localStorage.getItem('tars_client_id')"), "^web-")
        expect(self.page.locator("#sign-out")).to_be_hidden()

    def test_asks_streams_and_cites(self):
        turn = self.ask_page(QUESTION)
        expect(turn.locator(".answer")).to_contain_text("28 days")
        expect(turn.locator(".sources li").first).to_contain_text("leave.md")
        expect(turn.locator(".verdict")).to_contain_text("found in the sources")
        turn.locator(".sources summary").first.click()
        expect(turn.locator(".passage").first).to_contain_text("annual leave")
        self.picture("ask")

    def test_conversations(self):
        self.ask_page(QUESTION)
        first = self.page.locator("#conversations li")
        expect(first).to_have_count(1)
        expect(first).to_contain_text(QUESTION[:40])
        self.ask_page("And how many can be carried over?")
        expect(first).to_have_count(1)
        self.page.click("#new")
        expect(self.page.locator(".turn")).to_have_count(0)
        self.ask_page("When is the fire drill?")
        expect(first).to_have_count(2)
        first.filter(has_text="annual leave").locator(".open").click()
        expect(self.page.locator(".turn")).to_have_count(2)
        expect(self.page.locator(".turn").first.locator(".sources li").first).to_contain_text("leave.md")
        self.page.reload()
        expect(first).to_have_count(2)
        first.filter(has_text="fire drill").locator(".remove").click()
        expect(first).to_have_count(1)

    def test_uploads(self):
        self.page.set_input_files("#files", {"name": "kettle.txt", "mimeType": "text/plain",
                                             "buffer": b"The kettle in the kitchen is descaled every Friday."})
        expect(self.page.locator("#uploads li.success")).to_contain_text("kettle.txt: added (1 passage)")
        turn = self.ask_page("When is the kettle descaled?")
        expect(turn.locator(".answer")).to_contain_text("Friday")
        self.page.fill("#collection", "no such collection")
        self.page.set_input_files("#files", {"name": "b.txt", "mimeType": "text/plain", "buffer": b"b"})
        expect(self.page.locator("#uploads li.failed")).to_contain_text("b.txt")

    def test_text_of_documents_is_text(self):
        self.page.set_input_files("#files", {"name": "odd.txt", "mimeType": "text/plain", "buffer":
                                             b"The zebra crossing <img src=x onerror=alert(1)> is painted in May."})
        expect(self.page.locator("#uploads li.success")).to_be_visible()
        turn = self.ask_page("When is the zebra crossing painted?")
        expect(turn.locator(".answer")).to_contain_text("<img src=x")
        self.assertEqual(turn.locator("img").count(), 0)

    def test_keyboard_and_names(self):
        self.page.keyboard.press("Shift+Tab")
        for selector in ("#question", "#collection", "#files"):
            identity = selector[1:]
            self.assertTrue(self.page.locator(f"label[for='{identity}']").count(), selector)
        self.assertEqual(self.page.locator("html").get_attribute("lang"), "en")
        self.page.fill("#question", "a")
        self.page.press("#question", "Shift+Enter")
        self.assertEqual(self.page.input_value("#question"), "a\n")

    def test_docs(self):
        self.page.goto(self.url + "/docs#post_rag_search")
        operation = self.page.locator("#post_rag_search")
        expect(operation.locator(".try button")).to_be_visible()
        expect(operation.locator(".shape").first).to_contain_text("top_k")
        operation.locator(".try button").click()
        expect(operation.locator(".try pre")).to_contain_text("200 OK")
        self.picture("docs")
        self.page.fill("#find", "jobs")
        expect(operation).to_be_hidden()
        self.page.fill("#find", "")
        listed = self.page.locator("#get_rag_documents")
        listed.locator("summary").first.click()
        listed.locator(".try button").click()
        expect(listed.locator(".try pre")).to_contain_text("403")
        self.page.fill("#token", self.sign_in("docs"))
        listed.locator(".try button").click()
        expect(listed.locator(".try pre")).to_contain_text("200 OK")
        paths = json.loads(self.ask("GET", "/openapi.json").body)["paths"]
        expect(self.page.locator(".operation")).to_have_count(sum(len(item) for item in paths.values()))

    def test_below_the_version(self):
        self.page.goto(self.url + "/api/v1/ui")
        expect(self.page.locator("#status")).to_contain_text("passages")
        expect(self.ask_page(QUESTION).locator(".answer")).to_contain_text("28 days")


class Secret(Web):
    settings = {"TARS_AUTH": "secret"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with open(os.path.join(cls.data, "server.json"), encoding="utf-8") as file:
            owner = {"X-Tars-Owner": json.load(file)["token"]}
        made = cls.ask("POST", "/admin/users", {"name": "ada", "role": "writer", "secret": PASSWORD}, headers=owner)
        if made.status != 201:
            raise AssertionError(made.body)

    def give(self, name, password):
        self.page.fill("#name", name)
        self.page.fill("#password", password)
        self.page.click("#sign-in-form button")

    def test_signs_in_and_out(self):
        self.page.goto(self.url + "/ui")
        expect(self.page.locator("#sign-in-form")).to_be_visible()
        expect(self.page.locator("#work")).to_be_hidden()
        expect(self.page.locator("#oidc")).to_be_hidden()
        self.picture("sign-in")
        self.give("ada", "wrong password")
        expect(self.page.locator("#sign-in-error")).to_have_text("Name or password is not right.")
        self.give("ada", PASSWORD)
        expect(self.page.locator("#who")).to_have_text("ada")
        expect(self.ask_page(QUESTION).locator(".answer")).to_contain_text("28 days")
        self.page.reload()
        expect(self.page.locator("#who")).to_have_text("ada")
        token = self.page.evaluate("localStorage.getItem('tars_auth_token')")
        self.page.click("#sign-out")
        expect(self.page.locator("#sign-in-form")).to_be_visible()
        self.assertIsNone(self.page.evaluate("localStorage.getItem('tars_auth_token')"))
        self.assertEqual(self.ask("GET", "/rag/documents", token=token).status, 401)
        self.page.reload()
        expect(self.page.locator("#sign-in-form")).to_be_visible()

    def test_comes_back_from_a_provider(self):
        tokens = {"access_token": self.sign_in("ada", client_secret=PASSWORD), "refresh_token": "r",
                  "token_type": "bearer", "expires_in": 86400}
        self.page.route("**/auth/oidc/token", lambda route: route.fulfill(json=tokens))
        self.page.route("**/auth/health", lambda route: route.fulfill(json={"status": "healthy", "mode": "oidc", "oidc": True}))
        self.page.goto(self.url + "/ui")
        expect(self.page.locator("#oidc")).to_have_attribute("href", "auth/oidc/login")
        self.page.goto("about:blank")
        self.page.goto(self.url + "/ui#signed-in")
        expect(self.page.locator("#who")).to_have_text("ada")
        self.assertEqual(self.page.url, self.url + "/ui")

    def test_a_token_that_ends_leads_back(self):
        self.page.goto(self.url + "/ui")
        self.give("ada", PASSWORD)
        expect(self.page.locator("#work")).to_be_visible()
        self.page.evaluate("localStorage.setItem('tars_auth_token', 'x'); localStorage.setItem('tars_refresh_token', 'x')")
        expect(self.page.locator("#sign-in-error")).to_have_text("You have been signed out.")


del Web  # it has no tests of its own

if __name__ == "__main__":
    unittest.main()
