"""What a notice has to say, and what none may: looked for by words, so that it is there, not that it is true."""

from __future__ import annotations

from countenance.errors import BadInput

ASKS = {
    "en": {"who": "contact", "what": "measure", "what for": "what for", "why it is wanted": "wanted",
           "what it may mean": "may mean for you", "how long": "how long", "that one may say no": "say no",
           "that one may withdraw": "withdraw", "rights": "your rights"},
    "zh": {"who": "联系", "what": "测量", "what for": "用途", "why it is wanted": "为了", "what it may mean": "影响",
           "how long": "期限", "that one may say no": "拒绝", "that one may withdraw": "撤回", "rights": "权利"},
}
"""Each element, and a word by which it is found."""

VOID = ("irrevocab", "perpetual", "unlimited term", "freely sublicens", "by entering you agree", "不可撤销",
        "永久", "无期限", "任意转授权", "进入即视为同意")
"""Terms that give unlimited rights over a face; void under Fa Shi [2021] 15, art 11."""


def missing(language: str, text: str) -> list[str]:
    """Return the elements that a text in a language lacks; of a language that is not known here, none."""
    return [element for element, word in ASKS.get(language, {}).items() if word not in text.lower()]


def void(text: str) -> list[str]:
    """Return the void terms in a text."""
    return [term for term in VOID if term in text.lower()]


def require_fit(texts: dict[str, str]) -> None:
    """Refuse a notice to which nobody could agree. Raises BadInput: notice-incomplete (names what), notice-void."""
    for language, text in sorted(texts.items()):
        if lacking := missing(language, text):
            raise BadInput("notice-incomplete", f"This notice ({language}) does not say: {', '.join(lacking)}.")
        if terms := void(text):
            raise BadInput("notice-void", f"Nobody can agree to this: {', '.join(terms)}.")
