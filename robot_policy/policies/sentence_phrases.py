"""Expressions that the sentence parser knows: courtesy, idioms, and sentences that are whole."""

import re

from robot_policy.policies.sentence_words import HELD

_LENGTH = r"(?=(?:cm|mm|centimet|millimet|deg))"
_HELD = "|".join(HELD)
_SIDES = r"left(?:wards?)?|right(?:wards?)?|up(?:wards?)?|down(?:wards?)?|forwards?|back(?:wards?)?"
_VERBS = (
    r"go|move|turn|tilt|roll|rotate|raise|lift|lower|come|bring|take|shift|slide|open|close|grab"
)
_OPENERS = (
    r"all right|alright|ok|okay|now|so|hey|hmm|robot|yes|well|go on|(?:no,? )?i (?:said|meant)"
)
_ASKING = r"a|can|could|would|will|please|i|we|let|to"

_FEEDBACK = (
    r"(?:and |now |(?:that|this|it) is |not )?(?:very |pretty |so )?"
    r"(?:nearly|almost|good|great|lovely|perfect|nice|fine|brilliant|excellent|better|super|"
    r"well done|thanks|cool|awesome|right|correct|all right)"
    r"(?: job| one| work| there| aligned| enough| robot| so far)*"
)

POLITE = (
    rf"^(?:{_FEEDBACK}, )+(?:and )?(?:now |then |so |but )*(?=\w+ )",
    r"^(?:it|you|that|the (?:arm|hand|gripper)) (?:has|needs|need|have) to (?:be )?",
    r"\btry (?=(?:to the )?(?:left|right|up|down|forward|back))|, no(?:t any|t)? more$",
    r"\bi think\b|\b(?:you|we) (?:have|need) to\b",
    rf"^(?:(?:{_OPENERS}),? |(?:right|good|great|nice|perfect|no), )+"
    rf"(?=(?:{_VERBS}|{_SIDES}|{_ASKING})\b)",
    r"^will (?=you\b)|\bthank you(?: very much)?\b",
    r"\bif you (?:please|can|could|would|do not mind)\b",
    r"^(?:i|we) (?:want|need|would like|would want)(?: (?:you|it|that|this|the \w+))?(?: to)?\b",
    r"\b(?:can|could|may|shall) we(?: have (?:it|the \w+))?\b|\blet(?:'s| us) ",
    r"\b(?:try|go ahead|start|begin) (?:to|and)\b",
    r"\bgive (?:it|the \w+)(?= (?:a|1|9|18|half|quarter))",
    r"\bat the same time\b|\bat once\b|\bfrom (?:here|there|where you are)\b",
    r"\bwould be (?:great|nice|good|perfect|lovely|fine)$|\bsideways(?= (?:to|left|right))",
    r"\bwith (?:the|your) (?:hand|gripper|fingers|claw|jaws)\b",
)
"""How things are asked for, which says nothing of what is asked for."""

REPAIRED = (
    (r"^right now$", "now"),
    (r"\bin reverse\b", "back"),
    (r"\bover (?=(?:to|left|right|by|a|\d+|the) )", ""),
    (r"\bover (?=left|right)", ""),
    (r"\bccw\b", "counterclockwise"),
    (r"\bcw\b", "clockwise"),
    (rf"\bmore {_LENGTH}", ""),
    (r"\bhundred and (?=\w)", "hundred "),
    (r"\ba tenth of a met(?:re|er)\b", "10 cm"),
    (r"\ba quarter (?:of a )?met(?:re|er)\b", "25 cm"),
    (r"\bhalf a met(?:re|er)\b", "50 cm"),
    (r"\b(?:make|do|perform|give) an? ([\w.]+)(?: |-)degrees? turn\b", r"turn \1 degrees"),
    (
        r"\bkeep (?:on )?(?:going |moving )?(?=straight|ahead|left|right|up|down|forward|back)",
        "move ",
    ),
    (r"\s*\u00b0", " degrees"),
    (
        r"\bback (?:up|away|off) and (?=(?:tilt|turn|roll|rotate|then|pitch|open|close|grab))",
        "back and ",
    ),
    (rf"\b(a|one) single {_LENGTH}", "1 "),
    (rf"\b(?:a )?couple (?:of )?{_LENGTH}", "2 "),
    (rf"(?<!half )(?<!\w)a {_LENGTH}", "1 "),
    (r"\bin (?:the|a) (\w+) direction\b", r"\1"),
    (r"\b(left|right)[- ](?:hand )?side\b(?! of)", r"\1"),
    (r"\btowards? (?:the |your )?(?=left|right)", ""),
    (r"\b(?:as|while) you\b", "and"),
    (rf"(\b(?:{_SIDES})\b[^,]*), (?:and )?not (?:to )?(?:the )?(?:{_SIDES})$", r"\1"),
    (rf"^(?:do not|don'?t) (?:go|move) (?:to the )?(?:{_SIDES}),? (?:but )?(?=(?:go|move) )", ""),
    (r"\b(?:a )?half (?:a )?turn\b", "turn 180 degrees"),
    (r"\b(tilt|pitch|tip|angle|roll|lean|bank)\b(.*?)\b(?:a )?quarter turn\b", r"\1\2 90 degrees"),
    (r"\b(?:a )?quarter turn\b", "turn 90 degrees"),
    (r"\b(?:make|do|perform) (?=turn )", ""),
    (r"\bdegrees of (roll|tilt|turn|rotation|pitch|yaw)\b", r"degrees \1"),
    (r"\brotation\b", "turn"),
    (r"\bteeny tiny\b", "tiny"),
    (r"\bfingers together\b", "close"),
    (r"\bclose up\b", "close"),
    (r"\bfingers apart\b", "open"),
    (r"\bundo (?:the|your) (?:grip|grasp|hold)\b", "open"),
    (
        r"\b(?:grab|get|take|catch) (?:a )?hold(?: of| on)?\b|\b(?:get|take) a grip (?:on|of)\b",
        "grasp",
    ),
    (rf"\baround (?=it\b|the (?:{_HELD}))", ""),
    (r"\b(?:release|relax|loosen) (?:the|your) (?:grip|hold|grasp)\b", "open"),
    (r"\bopen (?:up )?wide(?:ly)?\b", "open"),
    (r"\bdrop (?=(?:by )?(?:a |one |two |three |four |five |six |\d))", "down "),
    (r"counter[- ]clockwise", "counterclockwise"),
    (r"anti[- ]clockwise", "anticlockwise"),
    (r"\bhalf an? (?=cm|centi|mm|milli|deg)", "half "),
    (r"\b(\w+) and a half (?=cm|centi|deg)", r"\1 half "),
    (r"\b(?:further |farther )?away from (?:the |your )?(?:base|robot|body|yourself)\b", "forward"),
    (r"\bfarther from (?:the |your )?(?:base|robot|body)\b", "forward"),
    (r"\b(?:closer to|towards?|nearer to) (?:the |your )?(?:base|robot|body|yourself)\b", "back"),
    (rf"\blet (?:it |the thing |the (?:{_HELD}) )?go(?: of)?\b", "release"),
    (r"\bdrop (?=it\b|the (?:cube|block|object|thing|ball))", "release "),
    (r"\bdrop (?=down|lower|the arm|the hand|the gripper)", "down "),
    (r"\bhold on to\b", "grasp"),
    (r"\bclamp down on\b", "grasp"),
    (r"\bpinch (?:the|your) fingers together\b", "close"),
    (r"\b(?:spread|loosen) (?:the|your) (?:fingers|grip|hand)\b", "open"),
    (r"\bopen up\b", "open"),
    (r"\bjaws wide\b", "jaws"),
    (r"\b(?:reach|stretch) out\b", "reach"),
    (r"\bpush ahead\b", "forward"),
    (r"\bback (?:up|off|away)\b(?! and)", "back"),
    (r"\bgo ahead and\b", ""),
    (r"\bover to (?:the|your)\b", "to the"),
    (r"\b(?:to|for) you\b", "someone"),
    (r"\bdiagonally\b", ""),
    (r"\bpull (?=the arm|the hand|the gripper|back)", "move "),
    (r"\bcome back\b", "back"),
    (r"^nod$", "tilt down"),
)
"""Expressions of several words and what they mean in words that are known."""

NEGATIONS = re.compile(
    r"\b(?:not|no|never|don'?t|dont|without|cannot|can'?t|shouldn'?t|isn'?t|wasn'?t|didn'?t)\b"
)
QUESTIONS = re.compile(
    r"^(?:what|why|who|where|when|how|whether|is|are|am|was|were|did|does|do you|do i|should|"
    r"would it|have|has|i wonder|which|(?:it|he|she|they|that|this|the \w+) "
    r"(?:would|will|should|could|can|might|may|has|is|was|goes|moves|went)\b)\b"
)
_ABOUT = r"it|that|this|you|we|i|the \w+|there"
REASON_BEFORE = re.compile(
    rf"^(?:(?:{_ABOUT}) (?:is|are|was|am)|(?:still |a (?:bit|little) )?(?:too|much))\b[^,]*, "
    rf"(?P<asked>(?:so |now |please |and )*(?:{_VERBS}|back|nudge|pull|push|step)\b.*)$"
)
"""Why something is asked for, and then what: "you are too far right, go left a bit"."""
REASON_AFTER = re.compile(rf"^(?P<asked>[^,]+), (?:{_ABOUT}) (?:is|are|was|am)\b[^,]*$")
STATEMENTS = re.compile(r"\b(?:is|are|was|were|has|had|went|been|would|could|should|if|when)\b")
"""Words of what is told rather than asked for."""

_LAST = (
    r"(?:the |your |that |my )?(?:last|previous|latest) "
    r"(?:move|motion|movement|step|one|action|command)"
)
_REGRET = (
    r"(?:sorry|my (?:mistake|bad)|i made a mistake|(?:that|this) (?:was|is) "
    r"(?:wrong|a mistake|not right|not good|bad|not it)|wrong(?: way)?|lets|let's|"
    r"i did ?n.t mean (?:that|it))"
)
_AGAIN = r"(?:again|once more|one more time|another time)"
_WHILE = r"(?: for)?(?: an?)?(?: moment| second| minute| bit| sec)?"
_POLITELY = (
    r"(?:(?:please|ok|okay|now|no|oh|oops|whoops|whoa|hey|just|yes|robot|and|great|perfect|good|"
    r"right|can you|could you|would you) )*"
)
_AT_LAST = (
    r"(?: (?:please|now|robot|for me|thanks|immediately|right now|here|mate|buddy|love|then))*"
)

_WHOLE = {
    "wait": (
        r"(?:wait )*wait|stand (?:by|still)|(?:just )?an? (?:moment|second|minute)(?: wait)?",
        r"stop(?: moving| right there| there| it| that| everything| what you are doing| stop)?",
        rf"(?:wait|pause|hang on)(?: there| here)?{_WHILE}",
        rf"hold (?:still|on|it(?: right)? there|it|(?:your )?position|there|everything){_WHILE}",
        r"(?:stay|remain|keep) (?:right )?"
        r"(?:there|put|still|where you are|here|in place|motionless)",
        r"freeze|halt|(?:do ?n.?t (?:you )?|dont |do not )move(?: at all| yet)?|emergency stop",
    ),
    "undo": (
        rf"(?:{_REGRET} )*(?:undo|revert|cancel|scratch|take back|roll back)"
        rf"(?: that| it| this| the)?(?: (?:{_LAST}|last|one))?",
        rf"reverse (?:that|it|this|{_LAST})|ctrl z",
        rf"(?:{_REGRET} )*take (?:that|it)(?: move| step)? back",
        r"(?:undo|reverse|revert|take back) what you (?:just )?did",
        r"(?:go|move|come|return) (?:back )?to (?:where you (?:just )?were(?: before)?|"
        r"(?:the|your) (?:previous|last) (?:position|place|pose|spot))",
        r"put it back (?:how|where|as) it was(?: before(?: that(?: move)?)?)?",
    ),
    "again": (
        rf"(?:once |yet )?again|{_AGAIN}(?: please)?(?: same as before)?",
        r"same (?:thing|again)(?: again)?",
        rf"(?:do )?(?:that|the same|it|same|this)(?: thing| move| step)? {_AGAIN}",
        rf"(?:repeat|redo)(?: that| it)?(?: {_LAST}| move| step| motion)?(?: {_AGAIN})?",
        rf"(?:do|perform|make) {_LAST} {_AGAIN}|do the same(?: thing)?",
        r"(?:another|one more) (?:one )?(?:of those|like that)|same as before",
    ),
    "done": (
        r"(?:(?:that is(?: it)?|we are|you are|i am|it is|we have|i have|all|i think|"
        r"everything is|that is everything) )*"
        r"(?:(?:us|me|you|everything|all|the|this|that) )*"
        r"(?:(?:task|job|work|mission|episode|exercise) )?(?:is |has been )?(?:all |now )?"
        r"(?:done|finished|complete|completed|accomplished)"
        r"(?: here| now| thank you| thanks| for today| then| with (?:this|it|the task))*",
        r"finish|that is (?:all|everything|it)(?: for (?:today|now))?",
        r"(?:the )?end of (?:the )?(?:task|job)|the end",
        r"(?:we|i|you) have (?:completed|finished|done) (?:the|this|our) (?:task|job|work)",
    ),
}
WHOLE = {
    code: re.compile(f"{_POLITELY}(?:{'|'.join(patterns)}){_AT_LAST}")
    for code, patterns in _WHOLE.items()
}
"""Sentences that mean something as a whole."""
