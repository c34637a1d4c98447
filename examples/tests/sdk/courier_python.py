"""Courier's SDK for servers in Python."""

import base64
import json
import os
import unittest
import urllib.request

from courier import AuthenticationError, BadRequestError, Courier

URL = os.environ["EMULATOR_URL"]
# What our crate handed out, which the script that runs this has asked an app for.
OURS = json.loads(os.environ["OUR_ANSWER"])


def decode(token):
    header, payload, _ = token.split(".")
    text = [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode() for part in (header, payload)]
    return text[0], json.loads(text[1])


def inbox(user):
    with urllib.request.urlopen(f"{URL}/emulator/messages?user_id={user}", timeout=30) as response:
        return json.load(response)["messages"]


class SdkTest(unittest.TestCase):
    def setUp(self):
        self.courier = Courier(base_url=URL)
        self.addCleanup(self.courier.close)

    def test_its_tokens_are_ours_claim_for_claim(self):
        answer = self.courier.auth.issue_token(scope=OURS["scope"], expires_in="600 seconds")
        header, claims = decode(answer.token)
        our_header, our_claims = decode(OURS["token"])
        self.assertEqual(header, our_header)
        self.assertEqual(list(claims), list(our_claims))
        self.assertEqual(claims["exp"] - claims["iat"], our_claims["exp"] - our_claims["iat"])
        for name in ("scope", "tenant_scope", "tenant_id"):
            self.assertEqual(claims[name], our_claims[name])

    def test_it_sends_and_archives(self):
        sent = self.courier.send.message(
            message={
                "to": {"user_id": "python", "context": {"tenant_id": "t"}},
                "content": {"title": "Hi", "body": "there"},
            }
        )
        message = inbox("python")[0]
        self.assertEqual(message["messageId"], sent.request_id)
        self.assertEqual(message["accountId"], "t")
        self.assertIsNone(message["archived"])
        listed = self.courier.messages.list()
        self.assertIn(sent.request_id, [entry.id for entry in listed.results])
        self.courier.requests.archive(sent.request_id)
        self.assertIsNotNone(inbox("python")[0]["archived"])

    def test_a_wrong_key_and_a_wrong_request_are_told_apart(self):
        wanted = {"scope": "user_id:alice", "expires_in": "1h"}
        with Courier(base_url=URL, api_key="pk_wrong", max_retries=0) as stranger:
            with self.assertRaises(AuthenticationError):
                stranger.auth.issue_token(**wanted)
        with self.assertRaises(BadRequestError):
            self.courier.auth.issue_token(**{**wanted, "expires_in": "soon"})


if __name__ == "__main__":
    unittest.main()
