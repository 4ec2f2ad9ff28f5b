"""The words that the sentence parser knows, by what they contribute to a meaning."""

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
        *("edge", "ease", "drive", "shuffle", "budge", "translate", "take", "draw", "put"),
        *(
            "glide",
            "creep",
            "crawl",
            "jog",
            "hop",
            "send",
            "swing",
            "scooch",
            "bump",
            "slip",
            "steer",
        ),
    ]
)
TURNING = frozenset(["turn", "rotate", "twist", "spin", "yaw", "swivel", "pivot"])
ROLLING = frozenset(["roll", "bank", "lean"])
TILTING = frozenset(["tilt", "pitch", "nod", "point", "tip", "angle", "incline"])
TILTED = {"forward": "down", "back": "up"}
"""Which way a hand is tilted that is tilted in a direction of the arm."""
SMALL = frozenset({"nudge", "inch", "edge", "bump"})
"""Motions that are small unless an amount is said."""
IMPLIED = {
    **dict.fromkeys(["raise", "lift", "rise", "ascend", "elevate", "hoist", "climb"], "up"),
    **dict.fromkeys(["lower", "descend", "sink", "dip"], "down"),
    **dict.fromkeys(["retreat", "retract", "withdraw", "reverse"], "back"),
    **dict.fromkeys(["reach", "advance", "extend", "stretch"], "forward"),
}
"""Verbs that mean a direction where none is said."""

DIRECTIONS = {
    **dict.fromkeys(["left", "leftward", "leftwards"], "left"),
    **dict.fromkeys(["right", "rightward", "rightwards"], "right"),
    **dict.fromkeys(["up", "upward", "upwards", "higher"], "up"),
    **dict.fromkeys(["down", "downward", "downwards", "lower"], "down"),
    **dict.fromkeys(["forward", "forwards", "ahead", "onward", "onwards"], "forward"),
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
    [
        "close",
        "shut",
        "grab",
        "grasp",
        "grip",
        "clamp",
        "pinch",
        "squeeze",
        "clench",
        "clasp",
        "seize",
    ]
)
SHUTTING = frozenset(["close", "shut", "open"])
"""What is done to the gripper, and not with it to a thing: a lid is opened otherwise."""
OPENING = frozenset(["open", "release", "unclasp", "unclench", "unclamp", "ungrip", "free"])

HAND = frozenset(
    [
        "arm",
        "hand",
        "gripper",
        "grippers",
        "wrist",
        "fingers",
        "claw",
        "jaws",
        "robot",
        "effector",
        "tool",
    ]
)
THING = frozenset(["it", "cube", "block", "object", "thing", "ball", "item", "piece"])
"""What may be gripped and let go of; anything that is to be found first is no primitive."""

HELD = (
    *("bottle", "cup", "mug", "handle", "box", "brick", "toy", "ring", "peg", "nut", "lid", "part"),
    *("screw", "bolt", "pen", "pencil", "glass", "bag", "ball", "cube", "block", "object"),
)
"""What a gripper may be told to grip or to let go of; none of it is moved by its name."""

FILLERS = frozenset(
    [
        *(
            "thanks",
            "cheers",
            "ta",
            "dear",
            "mate",
            "buddy",
            "friend",
            "kindly",
            "hey",
            "so",
            "well",
        ),
        *("hmm", "um", "uh", "er", "alright", "careful", "quickly", "smoothly", "softly", "full"),
        *("about", "roughly", "exactly", "precisely", "another", "extra", "whole", "also", "next"),
        *("first", "simultaneously", "together", "those", "these", "its", "my", "our", "each"),
        *("love", "tight", "fully", "completely"),
        *("yes", "yeah", "pls", "plz", "again"),
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
    ("small", r"(?:a )?little bit"),
    ("small", r"(?:by )?a (?:small |wee )?(?:bit|touch|smidge|little|tad|fraction)"),
    ("small", r"slightly|bit"),
    ("small", r"(?:a )?little"),
)
"""Amounts without a number, the more special first."""
