"""T67, T84, I37: four eyes for merchants, keys that turn, buyers, top-ups; and the words and envelopes of the house."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.platform import (
    BUYER,
    MERCHANT,
    PROTOCOL,
    House,
    Stage,
    make_buyer,
    make_intent,
    make_merchant,
    refusal,
)
from tests.support.world import START
from tongbao.kernel.error import ConfigurationError
from tongbao.kernel.time import MINUTE, SECOND, Instant
from tongbao.runtime.entropy import SeededEntropy
from tongbao.service.create import Asker, OpenTrade
from tongbao.service.link import CASHIER_TIME, PHISHING_TIME, RETURN_TIME, Seal
from tongbao.service.party import (
    ApproveOperator,
    ChangeMerchant,
    CloseOperator,
    MoveKey,
    PutKey,
    RegisterBuyer,
    RegisterMerchant,
    RegisterOperator,
    TopUp,
)
from tongbao.service.platform import Secrets
from tongbao.service.vault import Vault
from tongbao.store.step import Step, Write
from tongbao.trade.party import MerchantKey, Operator

TRADE_NO = "2026030112345678901234567890"


def test_T67_nobody_makes_himself_the_second_operator(stage: Stage) -> None:
    """The first two begin; from the third on another one approves whom one has entered, once."""

    async def scene(house: House) -> list[Any]:
        people = [("anna", "both", "anna", 0), ("mia", "maker", "anna", 1), ("bo", "checker", "anna", 1)]
        people += [("xu", "checker", "anna", 2), ("xu", "both", "bo", 3)]
        word = make_buyer().login_hash
        seen = [
            await refusal(house.submit(RegisterOperator(Operator(name, role, "", word, maker, Instant(0)), others)))
            for name, role, maker, others in people
        ]
        acts = [("xu", "anna"), ("xu", "xu"), ("xu", ""), ("xu", "bo"), ("xu", "bo"), ("yan", "bo")]
        return [*seen, *[await refusal(house.submit(ApproveOperator(name, who, "called"))) for name, who in acts]]

    maker, state = "MAKER_IS_CHECKER", "STATE_CONFLICT"
    assert stage.play(scene) == [
        *("", "FIELD_INVALID", "", "", "ALREADY_EXISTS"),
        *(maker, maker, maker, "", state, "NOT_FOUND"),
    ]


async def _people(house: House, *more: str) -> tuple[str, ...]:
    """anna (both), bo (checker) and each of ``more`` (both), whom bo has approved."""
    word, names = make_buyer().login_hash, ("anna", "bo", *more)
    for number, name in enumerate(names):
        role = "checker" if name == "bo" else "both"
        await house.submit(RegisterOperator(Operator(name, role, "", word, "anna", Instant(0)), number))
        house.clock.advance(SECOND)
        if number > 1:
            await house.submit(ApproveOperator(name, "bo", "called back"))
    return names


def test_T67_two_others_close_an_operator_and_two_who_approve_remain(stage: Stage) -> None:
    """Neither he himself nor one person twice, nor with one who is closed or only entered, nor without a reason; never
    the last two, nor the last who enters others; once, for good, and what he approved stays valid. Whom nobody approved
    is refused in the same way."""

    async def scene(house: House) -> list[str]:
        names = await _people(house, "cy")
        word = make_buyer().login_hash
        await house.submit(RegisterOperator(Operator("di", "both", "", word, "anna", Instant(0)), 3))
        await house.submit(ApproveOperator("di", "cy", "called back"))
        await house.submit(RegisterOperator(Operator("mo", "maker", "", word, "anna", Instant(0)), 4))
        await house.submit(ApproveOperator("mo", "cy", "called back"))
        await house.submit(RegisterOperator(Operator("ed", "both", "", word, "anna", Instant(0)), 5))
        names += ("di", "mo", "ed")
        acts = [
            ("cy", "anna", "anna"),
            ("cy", "cy", "bo"),
            ("cy", "anna", "cy"),
            ("cy", "anna", ""),
            ("xu", "anna", "bo"),
            ("cy", "anna", "ed"),
            ("cy", "xu", "bo"),
        ]
        acts += [("cy", "anna", "bo"), ("cy", "anna", "bo"), ("mo", "cy", "bo"), ("mo", "anna", "cy")]
        acts += [("ed", "anna", "bo"), ("anna", "di", "bo"), ("bo", "mo", "di"), ("di", "mo", "bo")]
        closing = [CloseOperator(name, names, actor, checker, "left") for name, actor, checker in acts]
        closing.append(CloseOperator("mo", names, "di", "bo", ""))
        seen = [await refusal(house.submit(act)) for act in closing]
        seen.append(await refusal(house.submit(ApproveOperator("ed", "bo", "called back"))))
        again = RegisterOperator(Operator("cy", "both", "", word, "di", Instant(0)), 6)
        return [*seen, await refusal(house.submit(again))]

    maker, state = "MAKER_IS_CHECKER", "STATE_CONFLICT"
    assert stage.play(scene) == [
        *(maker, maker, maker, maker, "NOT_FOUND", state, state),
        *("", state, state, state, "", "", state, state, "FIELD_MISSING", state, "ALREADY_EXISTS"),
    ]


@pytest.mark.slow
def test_T67_two_closings_at_once_leave_two_who_approve(postgresql_stage: Stage) -> None:
    """Over two nodes, each of which saw three."""

    async def scene(house: House) -> list[str]:
        names = await _people(house, "cy")
        async with postgresql_stage.open_house(lane=1, holder="other", embedded=False) as other:
            acts = [(house, "cy", "anna"), (other, "anna", "cy")]
            closing = [node.submit(CloseOperator(name, names, who, "bo", "left")) for node, name, who in acts]
            return sorted(await asyncio.gather(*map(refusal, closing)))

    assert postgresql_stage.play(scene) == ["", "STATE_CONFLICT"]


CLOSED = (
    "UPDATE operator SET status = 'active' WHERE name = 'cy'",
    "UPDATE operator SET status = 'closed' WHERE name = 'anna'",
    "UPDATE audit SET act = 'x' WHERE act = 'operator.close_agree'",
    "UPDATE audit SET actor = 'anna' WHERE act = 'operator.close_agree'",
    "UPDATE audit SET actor = 'cy' WHERE act = 'operator.close'",
    "UPDATE operator SET checker = '' WHERE name = 'cy'",
)


@pytest.mark.slow
@pytest.mark.parametrize("statement", CLOSED)
def test_I37_the_auditor_wants_two_others_behind_a_closed_operator(statement: str, sqlite_stage: Stage) -> None:
    """What he and they did is in the log; nobody is closed or comes back without it."""

    async def scene(house: House) -> set[str]:
        names = await _people(house, "cy")
        await house.submit(CloseOperator("cy", names, "anna", "bo", "left"))
        assert await house.audit() == []
        sqlite_stage.execute("DROP TRIGGER audit_no_update", statement)
        found = [finding for finding in await house.audit() if finding.id == "I37"]
        return {str(row[0]) for finding in found for row in finding.rows} - {"0"}

    assert sqlite_stage.play(scene, audited=False) & {"closed operator", "operator"}


def test_T67_who_enters_a_merchant_may_not_approve_him(stage: Stage) -> None:
    """Maker is not checker; every act leaves its line in the chained log, every refusal none."""

    async def scene(house: House) -> list[Any]:
        acts = [
            RegisterMerchant(make_merchant(), "maker"),
            RegisterMerchant(make_merchant(), "maker"),
            RegisterMerchant(replace(make_merchant("2088000000000003"), login=make_merchant().login), "maker"),
            ChangeMerchant(MERCHANT, "approved", "maker", ""),
            ChangeMerchant(MERCHANT, "frozen", "checker", ""),
            ChangeMerchant(MERCHANT, "approved", "checker", ""),
            ChangeMerchant(MERCHANT, "approved", "checker", ""),
            ChangeMerchant(MERCHANT, "frozen", "maker", "suspicion"),
            ChangeMerchant(MERCHANT, "approved", "maker", "cleared"),
            ChangeMerchant(MERCHANT, "closed", "maker", ""),
            ChangeMerchant(MERCHANT, "approved", "checker", ""),
            ChangeMerchant("2088000000000009", "approved", "checker", ""),
        ]
        codes = [await refusal(house.submit(act)) for act in acts]
        return [codes, (await house.platform.merchant(MERCHANT)).version]

    taken, state = "ALREADY_EXISTS", "STATE_CONFLICT"
    codes = ["", taken, taken, "MAKER_IS_CHECKER", state, "", state, "", "", "", state, "NOT_FOUND"]
    assert stage.play(scene, furnished=False) == [codes, 5]
    assert stage.execute("SELECT COUNT(*) FROM audit") == [(5,)]


def test_a_taken_number_or_login_is_refused(stage: Stage) -> None:
    """A buyer's number, a buyer's login, a top-up's cause: each once."""

    async def scene(house: House) -> list[str]:
        acts = [
            RegisterBuyer(make_buyer()),
            RegisterBuyer(replace(make_buyer("2088000000000055"), login=make_buyer().login)),
            TopUp(BUYER, 5, "CNY", "ICBC", "cause", "teller"),
            TopUp(BUYER, 5, "CNY", "ICBC", "cause", "teller"),
            TopUp(BUYER, 0, "CNY", "ICBC", "nothing", "teller"),
            TopUp(BUYER, -5, "CNY", "ICBC", "less", "teller"),
            TopUp("2088000000000066", 5, "CNY", "ICBC", "stranger", "teller"),
        ]
        return [await refusal(house.submit(act)) for act in acts]

    taken, nothing = "ALREADY_EXISTS", "AMOUNT_NOT_POSITIVE"
    assert stage.play(scene) == [taken, taken, "", taken, nothing, nothing, "BUYER_UNKNOWN"]


def make_key(house: House, state: str = "active", secret: bytes = b"0123456789abcdef") -> MerchantKey:
    envelope = house.platform.vault.close(secret, MERCHANT, PROTOCOL, "k1")
    return MerchantKey(MERCHANT, PROTOCOL, "k1", 0, "MD5", "both", envelope, state, Instant(0), Instant(0))


def test_T84_a_revocation_holds_at_once(stage: Stage) -> None:
    """The face may still hold the old ring: the rule looks at the key again in its own transaction."""

    async def scene(house: House) -> list[str]:
        await house.submit(PutKey(make_key(house, "next"), "maker"))

        async def create(number: str, version: int = 1) -> str:
            asker = Asker(MERCHANT, PROTOCOL, "k1", version)
            return await refusal(house.submit(OpenTrade(asker, make_intent(number), house.platform.new_trade_no())))

        async def turn(state: str) -> str:
            return await refusal(house.submit(MoveKey(MERCHANT, PROTOCOL, "k1", state, "maker", "")))

        ring = await house.platform.rings.ring(MERCHANT, PROTOCOL)
        assert ring.verify[0].material == b"0123456789abcdef"
        said = [await create("A")]
        for state in ("active", "retiring", "active", "revoked"):
            said += [await turn(state), await create(state)]
        await house.submit(PutKey(make_key(house), "maker"))
        return [*said, await create("B"), await create("B", 2), await create("C", 3)]

    gone, new = "KEY_REVOKED", "KEY_UNKNOWN"
    assert stage.play(scene) == [gone, "", "", "", "", "STATE_CONFLICT", "", "", gone, new, "", new]


@pytest.mark.slow
def test_T84_a_revocation_is_not_overwritten_by_another_node(postgresql_stage: Stage) -> None:
    """Keys are read without locks; between the look and the write another node revokes: the second look sees it."""
    armed: list[bool] = []

    def observe(moment: str, step: Step) -> None:
        if armed and moment == "before" and isinstance(step, Write):
            armed.clear()
            postgresql_stage.execute("UPDATE merchant_key SET state = 'revoked'")

    async def whole() -> tuple[str, str]:
        async with postgresql_stage.open_house(observe=observe) as house:
            await house.furnish()
            await house.submit(PutKey(make_key(house), "maker"))
            armed.append(True)
            said = await refusal(house.submit(MoveKey(MERCHANT, PROTOCOL, "k1", "retiring", "maker", "")))
            return said, postgresql_stage.execute("SELECT state FROM merchant_key")[0][0]

    assert asyncio.run(whole()) == ("STATE_CONFLICT", "revoked")


def test_I38_an_envelope_opens_for_its_row_only() -> None:
    """Another row, another key, a changed letter: the operator is told, and nothing is opened."""
    vault = Vault(b"k" * 32, SeededEntropy(1))
    envelope = vault.close(b"secret", "merchant", "protocol", "key")
    assert vault.open(envelope, "merchant", "protocol", "key") == b"secret"
    assert vault.close(b"secret", "merchant", "protocol", "key") != envelope
    for row in (("other", "protocol", "key"), ("merchant", "protocol"), ("merchant", "protocol", "key", "")):
        with pytest.raises(ConfigurationError):
            vault.open(envelope, *row)
    for changed in (
        "",
        "secret",
        "v1:a:b",
        "v2" + envelope[2:],
        envelope[:-5] + "AAAA=",
        envelope + ":",
        envelope + "é",
    ):
        with pytest.raises(ConfigurationError):
            vault.open(changed, "merchant", "protocol", "key")
    with pytest.raises(ConfigurationError, match="closed under key"):
        Vault(b"j" * 32, SeededEntropy(1)).open(envelope, "merchant", "protocol", "key")
    with pytest.raises(ConfigurationError):
        Vault(b"short", SeededEntropy(1))


def test_secrets_are_derived_apart() -> None:
    """Four different secrets from one root, which is long enough; none of them is shown."""
    secrets = Secrets.derive(b"r" * 32)
    parts = {secrets.seal, secrets.vault, secrets.pepper, secrets.bank}
    assert (len(parts), {len(part) for part in parts}, repr(secrets)) == (4, {32}, "Secrets(...)")
    with pytest.raises(ConfigurationError):
        Secrets.derive(b"r" * 31)


class TestWords:
    """T56: words that only the platform can write."""

    seal = Seal(b"s" * 32)

    def test_event_ids(self) -> None:
        """34 characters that give back trade and event; one changed character and they give nothing."""
        word = self.seal.event_id(TRADE_NO, 7)
        assert (len(word), self.seal.read_event_id(word)) == (34, (TRADE_NO, 7))
        for place in range(34):
            other = "1" if word[place] == "0" else "0"
            assert self.seal.read_event_id(word[:place] + other + word[place + 1 :]) is None

    def test_ids_of_returns_live_for_a_minute(self) -> None:
        """And not before they were written."""
        word = self.seal.return_id(TRADE_NO, START)
        at = [Instant(START + offset) for offset in (-3 * SECOND, 0, RETURN_TIME, RETURN_TIME + 1)]
        assert [self.seal.read_return_id(word, now) for now in at] == [None, TRADE_NO, TRADE_NO, None]
        assert self.seal.read_event_id(word) is None

    def test_cashier_links(self) -> None:
        """Half an hour, and not for another trade or time."""
        word = self.seal.cashier_word(TRADE_NO, START)
        at = [Instant(START + offset) for offset in (-MINUTE, 0, CASHIER_TIME, CASHIER_TIME + 1)]
        assert [self.seal.read_cashier_word(word, now) for now in at] == [None, TRADE_NO, TRADE_NO, None]
        for place in range(len(word)):
            other = "1" if word[place] == "0" else "0"
            assert self.seal.read_cashier_word(word[:place] + other + word[place + 1 :], START) is None

    def test_anti_phishing_keys(self) -> None:
        """For one merchant and a short while; the refusal says which of the two is wrong."""
        word = self.seal.phishing_key(MERCHANT, START)
        late = Instant(START + PHISHING_TIME + 2 * SECOND)
        assert self.seal.read_phishing_key(word, MERCHANT, START) == ""
        assert self.seal.read_phishing_key(word, MERCHANT, late) == "ANTI_PHISHING_EXPIRED"
        assert self.seal.read_phishing_key(word, "other", START) == "ANTI_PHISHING_INVALID"

    def test_tokens(self) -> None:
        """A form's token fits its label and parts only; parts do not run into one another."""
        word = self.seal.token("form", "a", "b")
        assert self.seal.is_token(word, "form", "a", "b")
        for label, parts in (("other", ("a", "b")), ("form", ("ab",)), ("form", ("a", "c")), ("form", ("a",))):
            assert not self.seal.is_token(word, label, *parts)

    def test_another_installation_writes_other_words(self) -> None:
        """Nothing passes from one secret to another; a short secret is refused."""
        other = Seal(b"t" * 32)
        assert other.read_event_id(self.seal.event_id(TRADE_NO, 1)) is None
        assert other.read_cashier_word(self.seal.cashier_word(TRADE_NO, START), START) is None
        with pytest.raises(ValueError, match="32 bytes"):
            Seal(b"short")

    @given(st.text(max_size=50))
    def test_any_text_is_read(self, text: str) -> None:
        """Whatever comes in an address gives an answer and never an exception."""
        assert self.seal.read_event_id(text) is None
        assert self.seal.read_return_id(text, START) is None
        assert self.seal.read_cashier_word(text, START) is None
        assert self.seal.read_phishing_key(text, MERCHANT, START) == "ANTI_PHISHING_INVALID"
        assert not self.seal.is_token(text, "form")
