"""Who knows the task, and who does it? A user who asks what its task is, or explains it, has changed sides.

English first, then the commonest forms in German, French, Spanish, Italian and Portuguese.
"""

from __future__ import annotations

from ise_gym.simulator.detectors.base import Turn, finder, watches
from ise_gym.simulator.detectors.chinese import EXPLAINS, QUESTIONS

_TECH = (
    r"(?:command|function|library|module|flag|option|method|regex|regular expression|pipe|loop|one-liner"
    r"|snippet|package|nohup|screen|systemd|curl|tee|xargs|cat|cp|mv|rm|head|tail|diff|tr|wc|echo|awk"
    r"|sed|grep"
    r"|cron|crontab|git|python|pandas|bash|jq|find|sort|uniq|cut|tar|rsync|chmod|pip|csv module|dictionary"
    r"|list comprehension|try/except|context manager|virtual environment|decorator|parser|argparse|tool)"
)

asks_about_own_task = watches("perspective_lock", "it asks what you want, and that is yours to know")(
    finder(
        *QUESTIONS,
        r"\bwhat (?:exactly |precisely |specifically |else )?(?:would|do|did|should|can|are) you (?:exactly "
        r"|like|want|wish|need|expect|hope|trying|looking|aiming)\b(?! from (?:me|us"
        r"|my))(?! for lunch)(?![^.!?\n]{0,200}\bfrom (?:me|my side|us)\b)",
        r"\bwhat (?:is|are|was|were|'s) (?:the|your|my|our|this|these) (?:actual |main |exact |specific "
        r"|overall |current |next )?(?:task|tasks|goal|goals|requirements?|request|assignment|objective"
        r"|instructions?|deliverables?|use case|desired (?:output|outcome|format|result))\b(?! number)",
        r"\bwhat's (?:the|your|my|our) (?:actual |main |exact |specific |overall |current )?(?:task|goal"
        r"|requirements?|request|assignment|objective|instructions?)\b",
        r"\b(?:which|what) \w+(?: \w+){0,2} (?:should i|do you want me|would you like me|shall i"
        r"|am i supposed|do i need to|are we supposed|you want me|you'd like me|you would like me)\b",
        r"\b(?:which|what) \w+(?: \w+){0,3} (?:would|do|did) you (?:like|prefer|want|need|have in mind"
        r"|require|mean me)\b",
        r"\b(?:where|how|when) (?:should i|would you (?:like|prefer|want)|do you (?:want|need) (?:me|it|them"
        r"|this|that|the)|am i supposed|shall i|do i (?:need|have) to)\b",
        r"\b(?:could|can|would|will) you (?:please |kindly |perhaps |maybe )?(?:clarify|specify|elaborate"
        r"|explain|tell me|describe"
        r"|confirm|provide|share|give me|let me know)\s+(?:me\s+)?(?:exactly |more (?:details|information"
        r"|context|about)|a bit more|further|what you(?:'d| would)? (?:like|want|need|expect)"
        r"|what (?:exactly )?(?:you|i|is|the|needs|should)|which \w+(?: \w+)? (?:you(?:'d| would)? (?:like"
        r"|want|need|mean me)|i should|should|needs?)|where (?:you want|you'd like|i should|the (?:output"
        r"|result|file)s? should)|the (?:task|requirements?|details of|goal|full path|exact path|path"
        r"|specific|format)|your (?:goal|requirements?|request|task|expectations?)|how (?:you want"
        r"|you'd like|i should))",
        r"\bplease (?:clarify|specify|tell me|describe|provide|share"
        r"|let me know)\s+(?:exactly )?(?:what (?:you(?:'d| would)? (?:like|want|need)|i should|the task"
        r"|needs)|which \w+(?: \w+)? (?:you(?:'d| would)? (?:like|want|need)|i should)|where (?:you want"
        r"|you'd like|i should)|your (?:requirements?|goal|task|request)|more (?:details|context"
        r"|information)|the (?:task|requirements?|details|details of))",
        r"\bwhat (?:do|should|must|can) i (?:do|work on|start|need to do|have to do|ask)\b(?! if| for you)"
        r"|\bwhat am i (?:supposed|meant|asked|trying) to\b|\bwhat was i (?:supposed|asking|going) to\b"
        r"|\bremind me (?:what|of) (?:i|we|the task|my task|my request)\b",
        r"\bi(?:'d| would)? need (?:some |a few |a bit )?(?:more|additional|further) (?:details|information"
        r"|context|clarification|specifics)\b|\bi(?:'m| am) not sure what (?:you(?:'d| would)? (?:like|want"
        r"|need)|i(?:'m| am) supposed|the task)",
        r"\bhow (?:would|do) you (?:like|want) (?:me )?(?:to )?proceed\b|\bwhat (?:brings you"
        r"|can you tell me about (?:your|the) (?:project|task|goal))\b|\bwhat kind of \w+ (?:are you"
        r"|do you (?:need|want))|\btell me (?:more )?about (?:your|the) (?:project|task|goal"
        r"|requirements?)\b|\bdo you have (?:any )?(?:specific|particular) (?:requirements?|preferences?"
        r"|format|instructions?|needs)",
        r"\b(?:specify|clarify|provide|describe|indicate|name)\b[^.!?\n]{0,40}\b(?:you (?:need|want"
        r"|would like|'d like"
        r"|require|prefer|expect)|(?:exact|full|correct|desired|intended) (?:path|location|format|name|order))",
        r"\b(?:ask|tell me|know|say|clarify|explain|sure|learn|hear) what (?:exactly |it is )?you(?:'d"
        r"| would)? (?:like|want"
        r"|wish|need)\b(?! from)",
        r"\b(?:what|which|how(?: many| much)?|where)\b[^.!?\n]{0,40}\b(?:should|shall|must|needs? to|supposed to)\b"
        r"(?! (?:i|we) (?:tell|send|show|say|expect|open|look|trust|pass|give|pay|take))(?! you\b)[^?\n]{0,200}\?",
        r"\b(?:what|which)\b[^.!?\n]{0,40}\b(?:do|would|did|should) you (?:need|want|expect|prefer|wish|require|like)\b"
        r"(?![^?\n]{0,200}\bfrom (?:me|us|my))",
        r"\bdo you (?:want|require|prefer|wish) (?:it|them|this|that|the|one|an?|any|these|those|just|only|all)\b"
        r"(?![^?\n]{0,200}\bfrom (?:me|us|my))[^?\n]{0,200}\?",
        r"\bis there (?:an?|any) (?:particular|specific|preferred|certain|special)\b"
        r"|\b(?:anything|something) (?:specific|particular|special|in particular)\b[^?\n]{0,200}\?",
        r"\b(?:tell me|advise|advise me|confirm|say|indicate) (?:which|what|how"
        r"|where)\b[^.!?\n]{0,30}\b(?:applies|apply"
        r"|you (?:want|need|wish|prefer|would)|should|i (?:should|am to)|to use|is (?:needed|wanted|required))\b",
        r"\b(?:which|what) \w+(?: \w+)? (?:would be|is|works|would work|suits) (?:best|better"
        r"|preferable|most suitable)? ?"
        r"(?:for )?you\b",
        # German, French, Spanish, Italian, Portuguese
        r"\b(?:was|welche[rsmn]?|wonach|wie|wo|wohin)\b[^.!?\n]{0,40}\b(?:soll|sollen|sollte|sollten|erwarten sie"
        r"|wünschen sie|möchten sie|hätten sie|willst du|erwartest du|möchtest du)\b[^?\n]{0,200}\?",
        r"\b(?:tu veux|vous voulez|tu voudrais) (?:quoi|que|quel)|\b(?:que|quel\w*|où|comment|combien)\b[^?\n]{0,40}"
        r"\b(?:dois|doit|doivent|faut-il|souhait\w+|voul\w+|préfér\w+|préfèr\w+)\b[^\n]{0,200}\?",
        r"¿[^?\n]{0,20}\b(?:qué|cuál\w*|dónde|cómo|cuánt\w+)\b[^?\n]{0,30}\b(?:prefier\w+|quier\w+|dese\w+|deb\w+"
        r"|necesit\w+)\b",
        r"\bwas (?:genau )?(?:soll ich|möchten sie|möchtest du|willst du|brauchst du|brauchen sie|ist (?:die"
        r"|meine|ihre|deine) aufgabe|ist (?:das|dein|ihr) ziel)\b(?![^.!?\n]{0,200}von mir)"
        r"|\bwelche[rsn]? \w+(?: \w+)? (?:soll ich|möchten sie|möchtest du|brauchen sie|hätten sie"
        r"|wünschen sie)|\bwo(?:hin)? soll ich\b|\bwie (?:soll ich|möchten sie|hätten sie)\b|\bkönn(?:en"
        r"|ten) sie (?:mir )?(?:bitte )?(?:genauer |näher )?(?:erläutern|beschreiben|sagen|angeben"
        r"|präzisieren), (?:was|welche|wo|wie) (?:sie|ich|genau)",
        r"\bque (?:voulez-vous|souhaitez-vous|dois-je|veux-tu|puis-je faire)|\bqu(?:'est-ce que"
        r"|e) (?:vous (?:voulez|souhaitez|aimeriez)|je dois|tu veux)|\bquel(?:le)?s? (?:est|sont) (?:la"
        r"|votre|vos|les|l') ?(?:tâche|objectif|demande|exigences|consignes?)|\bquel(?:le)?s? \w+ (?:dois-je"
        r"|souhaitez-vous|voulez-vous|préférez-vous)|\boù dois-je\b|\bcomment (?:dois-je|souhaitez-vous"
        r"|voulez-vous)|\bpouvez-vous (?:me )?(?:préciser|clarifier|donner plus)",
        r"\bqué (?:quieres|quiere|necesitas|necesita|deseas|desea|te gustaría|debo|tengo que) (?:que haga"
        r"|hacer|que|exactamente)?|\bcuál(?:es)? (?:es|son) (?:la|tu|su|el|los|las|mi) (?:tarea|objetivo"
        r"|requisitos|solicitud)|\bqué \w+ (?:debo|debería|prefieres|prefiere|quieres|desea)|\bdónde (?:debo"
        r"|debería|quieres que|quiere que)|\bcómo (?:quieres|quiere|debo|te gustaría) (?:que|proceder|hacer)"
        r"|\b(?:podrías|puedes|podría|puede) (?:aclarar|especificar|darme más|indicarme qué"
        r"|decirme qué (?:quieres|necesitas|debo))",
        r"\bche cosa (?:vuoi|devo|desidera)|\bcosa (?:vuoi|vorresti|devo|desidera|dovrei)|\bqual è (?:il|la"
        r"|il tuo|la tua|l') ?(?:compito|obiettivo|richiesta)|\bdove devo\b|\bo que (?:você quer|devo"
        r"|gostaria|precisa que)|\bqual é (?:a tarefa|o objetivo)",
    )
)

_explains = finder(
    *EXPLAINS,
    rf"\byou (?:can|could|should|would|'ll want to|may want to|might want to|need to|have to"
    rf"|just)\s+(?:\w+ly\s+|just\s+|also\s+|first\s+)?(?:use|run|try|call|import|install|pipe|combine"
    rf"|wrap|leverage|utili[sz]e|write)\b[^.!?\n]{{0,50}}(?:“…”|\b{_TECH}\b)",
    rf"\b(?:use|run|try(?: running)?|call|pipe|execute|invoke|type)\s+(?:the\s+|a\s+|this\s+"
    rf"|it\s+through\s+|an?\s+)?(?:following\s+)?(?:“…”|{_TECH}\b)[^.!?\n]{{0,40}}\b(?:to|which|and then"
    rf"|for this|will|on the|with the|on it)\b",
    r"\b(?:here(?:'s| is| are)|these are) (?:how (?:you|to)|the (?:steps|solution|answer|explanation"
    r"|command|code|script)|some (?:steps|suggestions|tips|options|ways)|a (?:step|solution|script"
    r"|simple|way|few|quick|python|bash|small)\b)",
    r"\b(?:the )?(?:following|below) (?:command|script|code|steps|snippet|function|approach|example"
    r"|query)s?\b(?! (?:fails|failed|gives|doesn't|does not|error))",
    r"(?:^|[.!?:]\s+)step (?:1|one)\b",
    r"^[^\S\n]*1[.)]\s+(?:open|install|run|create|navigate|use|import|first|make sure|go to|check|write|copy"
    r"|click|read|load|start|execute|define|call|cd)\b[^\n]*(?:\s2[.)]\s|\n++(?:[^\n]*+\n)?\s*+2[.)]\s)",
    r"\b(?:to|in order to) (?!be\b|sum\b|repeat\b|recap\b|my\b|me\b|us\b|you\b|the\b|answer\b|clarify\b)\w+\b"
    r"[^.!?\n]{0,60}(?:,\s*|\bit |\bthis |\bthat )(?:you|one) (?:can|could|need|should|have|would|just"
    r"|simply|first|go"
    r"|must|use|take|open|run)\b",
    r"\b(?:to|in order to) (?:do|fix|solve|achieve|sort|get|count|accomplish|merge|remove|convert|handle"
    r"|create|rename|find|check|resolve|avoid|run|add|list|extract|make|compute|calculate|copy|replace|start"
    r"|combine)\b[^.!?\n]{0,60},\s*(?:simply|just|first|we (?:can|need|first|should)"
    r"|i(?:'d| would) (?:recommend|suggest)|use|run|open|start by|try)\b",
    r"\b(?:the|this|that|your) (?:error|problem|issue|bug|exception|traceback|failure"
    r"|warning)\b[^.!?\n]{0,40}\b(?:occurs?|happens?|arises?|is caused|is due|stems?|means|indicates"
    r"|comes from|appears) (?:because|when|by|to|that|from|if)\b",
    r"\b(?:the|a|one|best|easiest|simplest) (?:\w+ )?(?:solution|way|approach|fix|answer|trick) (?:is"
    r"|would be|to (?:do|fix|solve) (?:this|that|it) is)\b(?! (?:up to|yours|fine|what|not|wrong"
    r"|off))[^?\n]{0,300}$",
    r"\b(?:i(?:'d| would)? (?:recommend|suggest)|my recommendation is|i advise)\s+(?:\w+ing|that you"
    r"|you (?:use|try|run|to)|the)\b",
    r"\bthis (?:command|function|script|code|will|regex|approach|line|query|snippet|program)\s+(?:will "
    r"|then |first )*(?:sort|print|read|create|ensure|return|loop|count|remove|write|iterate|list|find"
    r"|replace|convert|give you|merge|output|check|work|show|work by|split)s?\b(?! (?:again|for me"
    r"|anymore|any more|either))",
    r"\bmake sure (?:that )?you(?:'ve| have)? (?:have |first )?(?:installed|the latest|python"
    r"|the correct (?:version|permissions)|are in the)\b|\bfirst,? (?:you(?:'ll)? (?:need|want|have"
    r"|should)|open a|install|import|make sure you)\b",
    r"\bin (?:python|bash|linux|git|sql|javascript|excel|pandas|java|unix),? (?:you|this|the|we"
    r"|one) (?:can|could|is done|would|use|does)\b|\b(?:a|an) (?:csv|json|symlink|checksum|cron job"
    r"|virtual environment|commit|branch|regex|hash|pipe|daemon|tarball) (?:file )?is (?:a|an|basically"
    r"|simply|just)\b",
    r"\b(?:the )?answer(?: to (?:that|this|your question))? is[: ]\s*\S|\bthe (?:total|sum|average|mean"
    r"|median|result|count|difference|correct (?:answer|value|figure)) (?:is|comes to|equals"
    r"|works out (?:to|at))\s*(?::\s*)?[\d$€£“]",
    r"\b(?:there are|you have) (?:several|a few|two|three|multiple|many|a couple of) (?:ways|options"
    r"|approaches|methods|possibilities) (?:to|for|here)\b|\bin (?:summary|conclusion|short),"
    r"|\bgood question[!.,]|\bgreat question\b|\bhope (?:this|that) helps\b|\bkey (?:points|differences"
    r"|takeaways)\b",
    r"\bwhat you need is\b|\b(?:with|using|via) (?:the |an? )?(?:“…”|\w+) (?:flag|switch|command|function|method"
    r"|parameter|argument)\b",
    r"\ban? (?:good|better|simple|common|typical|clean|nice|robust|quick) (?:approach|way|solution|strategy|method"
    r"|practice)\b[^.!?\n]{0,30}\b(?:is|would be)\b",
    r"\b(?:it|this|that) (?:fails|failed|breaks|crashes|doesn't \w+|happens|occurs) (?:since|because|as the|due to)\b",
    r"\bthe reason (?!(?:i|we)\b)[^.!?\n]{0,50}\bis (?:that|because)\b|\ban? \w+(?: \w+)? (?:usually|typically"
    r"|generally) (?:contains?|consists?|includes?|means|refers|works|has)\b",
    r"\b\w+ing(?: \w+){0,2} is (?:simple|easy|straightforward|just a matter)\b",
    # German, French, Spanish, Italian, Portuguese
    r"\b(?:du kannst|sie können|man kann) (?:\w+ )?(?:dazu |dafür |hierfür |einfach |das |den "
    r"|die )*[^.!?\n]{0,40}\b(?:befehl|funktion|bibliothek|skript|modul)\b|\bum (?:das|dies|die"
    r"|den)\b[^.!?\n]{0,50}\bzu \w+,\s*(?:müssen|können|sollten|musst|kannst|öffne|führe|verwende|gib)"
    r"|\bso (?:geht|gehst|funktioniert) (?:das|es|du)\b|\bhier ist (?:die|eine) (?:lösung|anleitung"
    r"|erklärung)|\bder fehler (?:entsteht|tritt auf|kommt daher|liegt daran)|\bdie (?:summe|antwort"
    r"|lösung) (?:ist|beträgt|lautet)\b|\bich (?:empfehle|würde (?:dir |ihnen )?(?:empfehlen"
    r"|vorschlagen))\b|\bschritt 1\b",
    r"\b(?:vous pouvez|tu peux|il suffit d[e'])\s?[^.!?\n]{0,30}\b(?:commande|fonction|script"
    r"|bibliothèque|module|utiliser|exécuter|lancer)\b|\bpour (?:faire|corriger|trier|résoudre"
    r"|ce faire)\b[^.!?\n]{0,40},\s*(?:vous|il|utilisez|exécutez|ouvrez|tu)|\bl'erreur (?:vient"
    r"|se produit|est due|provient)|\bvoici (?:comment|la solution|les étapes)|\bla (?:somme|réponse"
    r"|solution) est\b|\bétape 1\b|\bje (?:vous |te )?(?:recommande|conseille|suggère)\b",
    r"\b(?:puedes|puede|se puede) (?:usar|utilizar|ejecutar|probar)\b[^.!?\n]{0,40}|\bpara (?:hacer"
    r"|arreglar|ordenar|solucionar|resolver|hacerlo)\b[^.!?\n]{0,40},\s*(?:puedes|debes|usa|ejecuta|abre"
    r"|primero|hay que|tienes)|\bel error (?:ocurre|se debe|se produce|viene)|\b(?:la suma|la respuesta"
    r"|la solución|el total) es\b|\bpaso 1\b|\b(?:te |le )?(?:recomiendo|sugiero)\b"
    r"|\baquí (?:te )?(?:explico|dejo) (?:cómo|los pasos)",
    r"\b(?:puoi|può) (?:usare|utilizzare|eseguire)\b|\bl'errore (?:si verifica|è dovuto)|\becco come\b"
    r"|\bla (?:somma|risposta|soluzione) è\b|\bvocê pode (?:usar|executar)\b|\bpara (?:fazer|corrigir) isso,",
)


@watches("perspective_lock", "it explains how the work is done")
def answers_instead_of_asking(turn: Turn) -> str:
    """Does or explains the work itself, as a tutor would."""
    return _explains(turn)
