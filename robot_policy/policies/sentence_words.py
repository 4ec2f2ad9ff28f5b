"""The words that the sentence parser knows, by what they contribute to a meaning."""

import re

NUMBERS = {
    **{
        w: float(i)
        for i, w in enumerate(
            ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
        )
    },
    **{
        w: 10.0 + i
        for i, w in enumerate(["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen"])
    },
    **{w: 16.0 + i for i, w in enumerate(["sixteen", "seventeen", "eighteen", "nineteen"])},
    **{
        w: 20.0 + 10.0 * i
        for i, w in enumerate(
            ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
        )
    },
    "hundred": 100.0,
    "half": 0.5,
}

METRES = {
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), 0.01),
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre", "millimetres"), 0.001),
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1.0),
}
DEGREES = frozenset({"deg", "degree", "degrees"})

# What is done: with a direction it is one of the motions, without one some mean a direction.
MOVING = frozenset(
    [
        "move",
        "go",
        "head",
        "shift",
        "slide",
        "scoot",
        "drift",
        "nudge",
        "travel",
        "step",
        "bring",
        "come",
        "inch",
        "push",
        "reach",
        "pull",
        "get",
        "carry",
        "proceed",
        "advance",
        "continue",
    ]
)
TURNING = frozenset(["turn", "rotate", "twist", "spin", "yaw", "swivel"])
ROLLING = frozenset(["roll", "bank", "lean"])
TILTING = frozenset(["tilt", "pitch", "nod", "point"])
SMALL = frozenset({"nudge", "inch"})
"""Motions that are small unless an amount is said."""
IMPLIED = {
    **dict.fromkeys(["raise", "lift", "rise", "ascend", "elevate"], "up"),
    **dict.fromkeys(["lower", "descend", "sink"], "down"),
    **dict.fromkeys(["retreat", "retract", "withdraw", "reverse"], "back"),
    **dict.fromkeys(["reach", "advance", "extend", "stretch"], "forward"),
}
"""Verbs that mean a direction where none is said."""

DIRECTIONS = {
    **dict.fromkeys(["left", "leftward", "leftwards"], "left"),
    **dict.fromkeys(["right", "rightward", "rightwards"], "right"),
    **dict.fromkeys(["up", "upward", "upwards", "higher"], "up"),
    **dict.fromkeys(["down", "downward", "downwards", "lower"], "down"),
    **dict.fromkeys(["forward", "forwards", "ahead"], "forward"),
    **dict.fromkeys(["back", "backward", "backwards"], "back"),
}
TURNS = {
    "clockwise": "right",
    "counterclockwise": "left",
    "anticlockwise": "left",
}
OPPOSITE = {
    **{"left": "right", "right": "left", "up": "down", "down": "up"},
    **{"forward": "back", "back": "forward", "close": "open", "open": "close"},
}

CLOSING = frozenset(
    ["close", "shut", "grab", "grasp", "grip", "clamp", "pinch", "squeeze", "clench"]
)
OPENING = frozenset(["open", "release", "unclasp", "unclench", "ungrip", "free"])

HAND = frozenset(
    ["arm", "hand", "gripper", "wrist", "fingers", "claw", "jaws", "robot", "effector"]
)
THING = frozenset(["it", "cube", "block", "object", "thing", "ball", "item", "piece"])
"""What may be gripped and let go of; anything that is to be found first is no primitive."""

FILLERS = frozenset(
    [
        "please",
        "now",
        "the",
        "your",
        "that",
        "this",
        "just",
        "then",
        "okay",
        "ok",
        "robot",
        "can",
        "could",
        "you",
        "would",
        "for",
        "me",
        "to",
        "by",
        "a",
        "an",
        "more",
        "further",
        "still",
        "straight",
        "directly",
        "gently",
        "slowly",
        "carefully",
        "firmly",
        "tightly",
        "along",
        "only",
    ]
)

VAGUE = (
    ("smallest", r"(?:just )?(?:a |an )?(?:tiny|teeny|minuscule) (?:little )?bit"),
    ("smallest", r"(?:by )?a hair"),
    ("smallest", r"(?:very|ever so) (?:slightly|little)"),
    ("smallest", r"a (?:teeny|tiny) amount"),
    ("large", r"a long way"),
    ("large", r"(?:by )?a lot"),
    ("large", r"\b(?:very |really )?far\b(?! (?:from|away))"),
    ("large", r"\b(?:way|much)\b"),
    ("small", r"a little bit"),
    ("small", r"(?:by )?a (?:small |wee )?(?:bit|touch|smidge|little|tad|fraction)"),
    ("small", r"slightly"),
    ("small", r"a little"),
)
"""Amounts without a number, the more special first."""

REPAIRED = (
    (r"counter[- ]clockwise", "counterclockwise"),
    (r"anti[- ]clockwise", "anticlockwise"),
    (r"\ba quarter turn\b", "turn 90 degrees"),
    (r"\ba half turn\b", "turn 180 degrees"),
    (r"\bhalf an? (?=cm|centi|mm|milli|deg)", "half "),
    (r"\b(\w+) and a half (?=cm|centi|deg)", r"\1 half "),
    (r"\b(?:further |farther )?away from (?:the |your )?(?:base|robot|body|yourself)\b", "forward"),
    (r"\bfarther from (?:the |your )?(?:base|robot|body)\b", "forward"),
    (r"\b(?:closer to|towards?|nearer to) (?:the |your )?(?:base|robot|body|yourself)\b", "back"),
    (r"\blet (?:it |the (?:cube|block|object|thing|ball) )?go(?: of)?\b", "release"),
    (r"\bdrop (?=it\b|the (?:cube|block|object|thing|ball))", "release "),
    (r"\bdrop (?=down|lower|the arm|the hand|the gripper)", "down "),
    (r"\b(?:take|get) (?:a )?hold of\b", "grasp"),
    (r"\bhold on to\b", "grasp"),
    (r"\bclamp down on\b", "grasp"),
    (r"\bpinch (?:the|your) fingers together\b", "close"),
    (r"\b(?:spread|loosen) (?:the|your) (?:fingers|grip|hand)\b", "open"),
    (r"\bopen up\b", "open"),
    (r"\bjaws wide\b", "jaws"),
    (r"\b(?:reach|stretch) out\b", "reach"),
    (r"\bpush ahead\b", "forward"),
    (r"\bback (?:up|off)\b(?! and)", "back"),
    (r"\bgo ahead and\b", ""),
    (r"\bover to the\b", "to the"),
    (r"\b(?:to|for) you\b", "someone"),
    (r"\bdiagonally\b", ""),
    (r"\bpull (?=the arm|the hand|the gripper|back)", "move "),
    (r"\bcome back\b", "back"),
    (r"\b(?:tilt|pitch) (?:the \w+ )?(?:forwards?|ahead)\b", "tilt down"),
    (r"\b(?:tilt|pitch) (?:the \w+ )?(?:backwards?|back)\b", "tilt up"),
    (r"^nod$", "tilt down"),
)
"""Expressions of several words and what they mean in words that are known."""

NEGATIONS = re.compile(
    r"\b(?:not|no|never|don'?t|dont|without|cannot|can'?t|shouldn'?t|isn'?t|wasn'?t|didn'?t)\b"
)
QUESTIONS = re.compile(
    r"^(?:what|why|who|where|when|how|whether|is|are|am|was|were|did|does|do you|do i|should|"
    r"would it|have|has|i wonder|which)\b"
)

WHOLE = (
    (
        "wait",
        r"(?:please )?(?:stop(?: moving| right there| there| it| now)?|wait(?: a (?:moment|second|"
        r"minute))?|hold (?:still|on|it there)|stay (?:there|put|still)|freeze|pause|halt|"
        r"stand still|do ?n.?t move|dont move|do not move)(?: please| now)?",
    ),
    (
        "undo",
        r"(?:please )?(?:undo|revert|cancel|reverse|take back)(?: that| it| this)?"
        r"(?: (?:the )?last (?:move|motion|step|one))?(?: please)?|take (?:that|it) back|"
        r"go back to where you were|undo",
    ),
    (
        "again",
        r"(?:please )?(?:again|once more|one more time|(?:do )?(?:that|the same|it|same)"
        r"(?: thing)? again|repeat(?: that| it)?)(?: please)?",
    ),
    (
        "done",
        r"(?:okay |ok )?(?:we are |you are |i am |it is |that is it,? we are |task |all |"
        r"the (?:task|job|work) is )?(?:done|finished|complete|completed)(?: here| now)?|finish|"
        r"that is (?:all|everything|it)|end of the task|the end",
    ),
)
"""Sentences that are what they are as a whole."""
