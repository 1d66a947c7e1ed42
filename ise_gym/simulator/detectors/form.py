"""Is it a chat message at all? Tool calls, code, JSON, stage directions, harness talk and silence are not."""

from __future__ import annotations

import json
import re

from ise_gym.simulator.detectors.base import Turn, finder, watches

_TOOL = re.compile(
    r"</?(?:tool_call|tool_response|tool_use|think|thinking|function(?:_call|_calls|=\w+)?|invoke"
    r"|antml:\w+|execute|parameter|observation)\b[^>\n]*>?"
    r"|<\|[a-z_]+\|>|\[/?(?:TOOL_CALLS?|INST|tool_call|TOOL)\]|\"(?:tool_calls?|arguments|function_call"
    r"|parameters)\"\s*:"
    r"|^[^\S\n]*(?:```|~~~)"
    r"|^[^\S\n]*(?:exec|read|write|edit|process|web_search|web_fetch|memory_search|bash|shell|run_command"
    r"|execute_command|read_file|write_file)\s*\((?=[^)\n]*[=\"'])[^)\n]*\)"
    r"|^[^\S\n]*(?:Action|Tool|Function call|Action Input|Calling tool|Tool call)\s*:\s*\S"
    r"|^[^\S\n]*(?:\$\s+[a-z]\w*(?:\s|$)|>>>\s+\S|root@\w+|#!/)",
    re.MULTILINE | re.IGNORECASE,
)
_CODE = re.compile(
    r"^(?:[^\S\n]*(?:import \w+(?:\.\w+)*(?: as \w+)?|from \w+(?:\.\w+)* import .+|def \w+\((?=.*\)).*:|class \w.*:"
    r"|for \w+ in .+:|with open\(.+|if __name__ ==.+|while .+:|function \w+\(.*|const \w+ = .+"
    r"|print\(.+\)|return \w+.*|#include.+|sudo \w+.+|echo ['\"].+|(?:cat|mv|cp|rm|mkdir|grep|sed|awk"
    r"|sort|find|tar|chmod|python3?|pip|git) (?:-\w|.*[|>&]|\S+\.\w+).*|\w+ = \w+\(.*\))[^\S\n]*)$",
    re.MULTILINE,
)
_SPEAKER = re.compile(
    r"^[^\S\n]*(?:\*\*)?(?:user|assistant|system|human|ai|agent|customer|client|narrator|me|you|bot|usuario"
    r"|utilisateur|benutzer|nutzer|assistent)(?:\*\*)?\s*(?:\([^)\n]*\)\s*)?:(?!//)",
    re.IGNORECASE | re.MULTILINE,
)
_STARRED = re.compile(r"(?<![\w*])\*(?!\s|\*)[^*\n]{3,80}(?<!\s)\*(?![\w*])")
_BRACKETED = re.compile(
    r"\[(?:the |a )?(?:user|assistant|system|stage|end|done|stop|exit|pause|sighs?|smiles?|waits?|waiting|note|ooc"
    r"|scene|silence|nods?|"
    r"end of (?:conversation|chat|dialogue)|conversation (?:ends?|over|complete)|thinking|leaves|typing"
    r"|aside|continues?|task (?:complete|done)|"
    r"satisfied|no response|internal|action|fin|ende|lächelt|sonríe|soupire|insert\b|your\b|name\b"
    r"|placeholder)[^\]\n]{0,300}\]|<(?:done|end|stop|exit|user|END_OF_TURN|eot)>|#{3}\s?STOP\s?#{3}"
    r"|###\s?(?:STOP|DONE|END|TRANSFER)",
    re.IGNORECASE,
)
_ACTION = (
    r"(?:sighs?|smiles?|nods?|pauses?|laughs?|chuckles?|shrugs?|waits?|leans?|frowns?|thinks?|looks?"
    r"|types?|typing|checks?|scrolls?|opens?|"
    r"clears? throat|rolls? eyes|grins?|scratches|rubs|sips|glances?|stares?|taps?|clicks?|thinking"
    r"|smiling|sighing|nodding|waiting|pausing|"
    r"lächelt|nickt|seufzt|denkt|wartet|sonríe|suspira|asiente|piensa|sourit|soupire|hoche|réfléchit"
    r"|sorride|sospira)"
)
_PARENTHESIS = re.compile(
    rf"(?:^|[.!?\n]\s{{0,20}})[(](?:{_ACTION}|the user|user|end of|silence|beat|still|slightly|visibly"
    rf"|impatiently|ooc|note to self|aside)\b[^)\n]{{0,80}}[)]"
    rf"|^[^\S\n]*[_~]{_ACTION}(?![a-z])[^_~\n]{{0,60}}[_~]",
    re.IGNORECASE,
)
_NARRATED = re.compile(
    r"^[^\S\n]*(?:the user|user|she|he|the (?:manager|engineer|analyst|customer|client|archivist"
    r"|accountant))\s+(?:\w+ly\s+)?(?:then\s+|would\s+|will\s+|now\s+)?(?:responds?|replies|says?|asks?"
    r"|sighs?|nods?|smiles?|checks?|waits?|thanks|confirms?|expresses|wants|is satisfied|follows up"
    r"|types|continues|looks)\b"
    r"|^[^\S\n]*(?:response|reply|message|output|my (?:response|reply|message)|next (?:message|turn)"
    r"|user(?:'s)? (?:message|reply|response|turn)|here(?:'s| is) (?:my|the user's|the next) (?:response"
    r"|reply|message|turn)|antwort|réponse|respuesta)\s*:\s*\S*",
    re.IGNORECASE | re.MULTILINE,
)


@watches("perspective_lock", "it holds code or a command")
def tool_call_syntax(turn: Turn) -> str:
    """Tool-call markup, a code fence, a shell prompt, or lines of code."""
    if found := _TOOL.search(turn.free):
        return found.group(0).strip()
    lines = _CODE.findall(turn.free)
    return str(lines[0]).strip() if lines else ""


@watches("perspective_lock", "it is no plain message: no names in front, no brackets, no JSON")
def stage_direction(turn: Turn) -> str:
    """JSON, a speaker's name, acted-out gestures, control words or narration instead of a message."""
    text = turn.free.strip()
    if empty_turn(turn):
        return ""
    if not _TOOL.search(text):  # the JSON of a tool call is that call's
        if text[:1] in "{[" and _is_json(text):
            return text[:60]
        if found := re.search(r"\{\s*\"\w+\"\s*:\s*[\"\[{\dtfn]", text):
            return found.group(0)
    for expression in (_SPEAKER, _BRACKETED, _PARENTHESIS, _NARRATED):
        if found := expression.search(text):
            return found.group(0).strip()
    for found in _STARRED.finditer(text):
        acted = re.search(rf"\b{_ACTION}\b", found.group(0), re.I)
        if acted or (not text[: found.start()].strip() and " " in found.group(0)):
            return found.group(0)
    return ""


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return bool(re.match(r"\{\s*['\"]?\w+['\"]?\s*:", text))


_talk = finder(
    r"\bsub-?goals?\b|\bexpert plan\b|\bevidence digest\b|\bhidden (?:checks?|tests?|requirements?"
    r"|goals?)\b|\bsuccess criteria (?:in|of) (?:my|the) (?:scenario|brief|prompt)",
    r"\b(?:the|this|my|our|your|current|given|test|whole) scenario(?:'s)?\b(?! (?:where|in which|when"
    r"|planning|analysis|file|folder|model|column|table|sheet|tab|name|names))|\bscenario (?:says|states"
    r"|requires|description|tells|instructs|file says)\b|\baccording to (?:my|the) (?:scenario|script i"
    r"|persona|brief i|prompt|role)\b",
    r"\bmy (?:persona|character(?! set| limit| count|s\b)|role-?play|system prompt|prompt\b"
    r"|assigned role|role as (?:the |a )?(?:user|simulated))\b|\b(?:system prompt|user simulator"
    r"|simulated user|user simulation|role-?play(?:ing)?|stay(?:ing)? in character"
    r"|break(?:ing)? character|out of character|in character)\b",
    r"\b(?:my|the|these) (?:instructions|guidelines|rules|brief|directions) (?:say|says|tell|tells|state"
    r"|states|require|requires|are to|is to|instruct|forbid|mention|don't (?:say|tell|allow))\b",
    r"\bi(?:'m| am| was|'ve been| have been) (?:told|instructed|supposed|asked|programmed|prompted"
    r"|configured|meant|directed) to (?:play|act|pretend|behave|simulate|role|impersonate"
    r"|ask (?:you )?(?:for|about|the|these|one)|say|reveal|respond|portray|only (?:ask|reveal|accept)"
    r"|not (?:reveal|tell|mention)|be (?:a|an|the))\b",
    r"\b(?:pretending|acting|playing|simulating|portraying) (?:to be )?(?:the |a |an )?(?:user|role"
    r"|part of|customer|human|persona)\b|\bas (?:the|a) (?:simulated )?user (?:in|of|here|i (?:should"
    r"|must|am|would|need))\b|\bi(?:'m| am) (?:the|a) (?:simulated )?user (?:in|of)\b",
    r"\b(?:request|wish|item|turn|increment) (?:\d+|one|two|three|four|five|six) (?:of"
    r"|out of) (?:the )?(?:\d+|three|four|five|six|seven|eight|my)\b|\b(?:next|second|third|final|last"
    r"|remaining) (?:increment|wish on my list|scripted|request in (?:the|my) (?:scenario|script"
    r"|list of requests)|item in (?:the|my) (?:scenario|script))\b",
    r"\b(?:the|this|these|an?) (?:simulation|simulator|evaluation harness|grader|grading (?:script"
    r"|criteria|rubric)|checker|harness|reward(?: function| signal)?|benchmark (?:task|scenario|run)"
    r"|test harness|role guard|rubric)\b(?! (?:of|for) (?:the )?(?:traffic|flow|weather|load|heat|fluid"
    r"|market|tide|crowd|staff|plant|wage|customer|bonus)| (?:results|script (?:i|we)|run(?:s)? (?:from"
    r"|last|overnight|of)|output|data|files?|folder|programme|program|scheme|points|model))",
    r"\bcommunication[_ ]style\b|\bexperience[_ ]level\b|\bwork[_ ]context\b|\bmy register (?:is"
    r"|should be)\b|\bperspective lock\b|\bincremental advancement\b|\bresponsive conditioning\b"
    r"|\bregister matching\b|\bconversation (?:turn limit|budget)\b|\bturn (?:limit|budget)\b"
    r"|\bepisode (?:is|ends?|should end|over)\b|\bthis episode\b",
    r"\bchecks? (?:pass|passes|fail|fails|hold|holds)\b[^.!?\n]{0,200}\b(?:so i can|i can now|i should|i may"
    r"|sub|move on to my|advance)|\bverif(?:ied|ication) (?:by|of) the (?:checks?|harness|verifier)\b"
    r"|\bthe verifier\b|\bthe (?:hidden |automatic |final )?checks (?:expect|look for|want|require)\b",
    # German, French, Spanish, Italian
    r"\b(?:laut|gemäß|nach) (?:meinem|dem|meiner) (?:szenario|rolle|skript|drehbuch|persona"
    r"|anweisung(?:en)?|vorgabe der simulation)\b|\bmeine (?:rolle|persona) (?:ist|als|verlangt)\b"
    r"|\b(?:ich (?:soll|spiele)) (?:hier |nur )?(?:den|einen|die rolle|als) (?:nutzer|benutzer|kunden"
    r"|rolle|des)|\bim szenario\b|\bteilziele?\b|\brollenspiel\b",
    r"\b(?:selon|d'après) (?:mon|le|ma|mes) (?:scénario|rôle|persona|consignes?|instructions|script)\b"
    r"|\bmon (?:rôle|personnage) (?:est|dans|exige)\b|\bjeu de rôle\b|\bje (?:joue|simule"
    r"|suis censé[e]? jouer) (?:le|un|l')\s?\w+|\bsous-objectifs?\b|\ble scénario\b",
    r"\bsegún (?:mi|el|mis|las) (?:escenario|guion|papel|persona|instrucciones|rol)\b|\bmi (?:papel"
    r"|personaje|rol) (?:es|en|de)\b|\bjuego de rol\b|\b(?:subobjetivos?|sub-objetivos?)\b"
    r"|\bel escenario (?:dice|pide|indica)\b|\bestoy (?:simulando|interpretando|actuando)\b"
    r"|\bsecondo (?:il mio|lo|le mie) (?:scenario|ruolo|istruzioni)\b",
)


@watches("perspective_lock", "it speaks of a role instead of from it")
def scenario_leak(turn: Turn) -> str:
    """Talks of the harness: scenario, persona, sub-goals, instructions, or a request's internal name."""
    if found := _talk(turn):
        return found
    for wish in turn.known.wishes:
        if wish.name.count("/") >= 2 and wish.name in turn.text and wish.name not in turn.known.words():
            return wish.name
    return ""


_SALUTATION = re.compile(
    r"(?=.)(?:(?:good (?:day|morning|afternoon|evening)|hi|hello|hey|greetings)(?: there| all| team)?[,;: ]*)*"
    r"(?:dear \w+(?: (?:all|colleagues?|friends?|team))?[,;: ]*)?"
)


@watches("incremental_advancement", "it says nothing")
def empty_turn(turn: Turn) -> str:
    """Says nothing, or no more than a salutation, and does not leave."""
    if turn.said.done or turn.said.gave_up:
        return ""
    text = turn.text.strip().strip("\"'`.!()[]<>{}*_-").strip().lower()
    placeholder = text in (
        "null",
        "none",
        "undefined",
        "nan",
        "n/a",
        "empty",
        "no response",
        "no reply",
        "no output",
        "blank",
        "silence",
        "no message",
        "void",
        "nil",
    )
    spoken = any(c.isalnum() for c in text)
    if placeholder or _SALUTATION.fullmatch(text) or (not spoken and not _emoji(turn.text)):
        return turn.text.strip() or "(empty turn)"
    return ""


def _emoji(text: str) -> bool:
    return any(ord(c) >= 0x1F300 or 0x2600 <= ord(c) <= 0x27BF for c in text)
