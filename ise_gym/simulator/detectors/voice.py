"""Whose voice is it? A user asks; one who reports, offers, inquires after the task or explains has changed sides.

The patterns cover English first and the commonest forms in German, French, Spanish, Italian and Portuguese. What is
quoted or reported ("you said you'd be happy to help") is passed over.
"""

from __future__ import annotations

import re

from ise_gym.simulator.detectors.base import Turn, finder

_DEED = (
    r"(?:created|updated|written|rewritten|fixed|modified|implemented|generated|refactored|renamed|moved"
    r"|merged|added|"
    r"deleted|removed|converted|saved|extracted|sorted|cleaned(?: up)?|set up|configured|installed"
    r"|completed|finished|"
    r"edited|appended|corrected|resolved|sent|wrote|built|produced|prepared|organi[sz]ed|counted"
    r"|computed|calculated|"
    r"replaced|copied|archived|packed|combined|formatted|reviewed|tested|verified|run|ran|made|put"
    r"|placed|committed|"
    r"drafted|compiled|applied|patched|restored|checked)"
)
_MAKE = (
    r"(?:create|write|rewrite|implement|generate|refactor|rename|sort|merge|update|fix|edit|modify|move"
    r"|convert|install|"
    r"set up|delete|remove|extract|build|append|format|organi[sz]e|calculate|compute|parse|combine"
    r"|replace|apply|execute|"
    r"restructure|split|compress|handle|process|adjust)"
)
_FOR_YOU = (
    r"(?:as (?:you )?(?:requested|asked|instructed|specified|wished|described|wanted)|for you\b"
    r"|you (?:requested|asked for|wanted)|"
    r"per your (?:request|instructions?)|according to your (?:request|instructions?|specification))"
)
_TECH = (
    r"(?:command|function|library|module|flag|option|method|regex|regular expression|pipe|loop|one-liner"
    r"|snippet|package|"
    r"awk|sed|grep|cron|crontab|git|python|pandas|bash|jq|find|sort|uniq|cut|tar|rsync|chmod|pip|csv module|"
    r"dictionary|list comprehension|try/except|context manager|virtual environment|decorator|parser"
    r"|argparse|tool)"
)

_speaks = finder(
    r"\bas an? (?:ai|language model|artificial intelligence|virtual assistant|ai assistant|assistant)\b",
    r"\bi(?:'m| am) (?:just |only )?(?:an? |your )(?:ai\b|language model|(?:virtual |ai |digital "
    r"|helpful )?assistant\b|chatbot|bot\b)",
    r"\bmy (?:training data|knowledge cutoff|previous response|capabilities as)\b",
    r"\bi(?:'ve| have)\s+(?:now\s+|just\s+|also\s+|already\s+)?(?:gone ahead and|successfully"
    r"|taken the liberty)\b",
    r"\bi (?:went ahead and|successfully)\s+\w+",
    rf"\bi(?:'ve| have)?\s+(?:now\s+|just\s+|also\s+|already\s+)?{_DEED}\b[^.!?\n]{{0,80}}\b{_FOR_YOU}",
    rf"{_FOR_YOU}[,:]?\s+(?:the|i|your|all|here|everything|both)\b",
    rf"\byour (?:file|files|task|request|script|report|document|data|code|changes?|folder|project"
    rf"|spreadsheet|order)s? "
    rf"(?:is|are|has been|have been) (?:now |all )?(?:\w+ )?(?:ready|{_DEED}|processed|in place)",
    rf"\b(?:has|have) been successfully {_DEED}|\b(?:was|were) successfully {_DEED}|\bsuccessfully {_DEED}\b",
    r"^\W*(?:sure(?: thing)?|certainly|of course|absolutely|understood|got it|no problem|right away"
    r"|gladly|with pleasure|okay|ok|alright|great)"
    r"\W+\s*(?:i'll|i will|i'm going to|let me|i can do|i'd be|i would be|here(?:'s| is| are)|i am going"
    r"|i have|i've)\b(?! (?:have a look|check (?:it|with|later|tonight)|wait|take a look|need|want|see"
    r"|ask|look|tell|think|be|got|had|no|another|one|a\b))",
    rf"\b(?:i'll|i will|i'm going to|let me)\s+(?:now\s+|also\s+|then\s+|first\s+|quickly\s+"
    rf"|go ahead and\s+|proceed to\s+|start by\s+|get started by\s+|begin by\s+)*{_MAKE}\s+(?:the|this"
    rf"|that|these|those|it|your|a|an|all|each|every|both)\b(?! (?:out|manually|myself|later|tonight))",
    r"\b(?:i'll|i will|let me) (?:get (?:right )?(?:on|to) (?:it|that)|take care of (?:that|it|this)"
    r"|get started|walk you|break (?:this|it) down|"
    r"go ahead|proceed|start by|begin by|investigate|look into (?:that|this|it)"
    r"|double-check that for you|do that for you|handle (?:that|this))\b"
    r"(?! (?:out|manually|myself|some other way|by hand|in person|elsewhere))",
    r"\blet me \w+(?: \w+){0,4} for you\b|\bi(?:'ll| will) \w+(?: \w+){0,5} for you\b",
    r"\bhere(?:'s| is| are) (?:a |an |the |your |my )?(?:quick |brief |short )?(?:summary|overview"
    r"|breakdown|list) of (?:what i|the changes|my changes|everything i|all the changes|changes)",
    r"\bhere(?:'s| is| are) (?:your|the (?:updated|revised|corrected|complete|completed|final|requested"
    r"|full|modified|new|cleaned|finished))\b",
    r"\bhere(?:'s| is) what i (?:did|changed|found|have done|'ve done)",
    r"\b(?:i apologi[sz]e|my apologies|sorry) for (?:the|any|my) (?:inconvenience|oversight"
    r"|confusion in my|error in my|mistake in my)\b",
    r"\bthank you for (?:your patience|bringing (?:this|that|it) to my attention|pointing (?:this|that"
    r"|it) out|your request|reaching out|contacting)\b",
    r"\bi(?:'m| am) (?:currently |now )?(?:working on (?:your|that|it for you)|processing your"
    r"|creating the|updating the|generating|unable to access|not able to access)",
    r"\bi (?:cannot|can't|do not|don't) have (?:access to|the ability|direct access)\b|\bi (?:cannot"
    r"|can't) (?:access|execute|browse|open) (?:files|your|external|the internet)",
    r"\bbased on your (?:request|instructions?|requirements?|description|feedback)\b",
    rf"^(?:(?:all )?done|finished|completed?|task complete[d]?)[.!,:–-]+\s*(?:the|i|your|all|both|every"
    rf"|here)\b[^?\n]*\b(?:now|is|are|has|have|{_DEED})\b",
    r"\bthe (?:task|request) (?:is|has been) (?:now )?(?:complete|completed|done"
    r"|fulfilled)\b(?! as )[^.!?\n]*(?:\bif you\b|\bsuccessfully\b|[.!]?\s*$)(?<!\?)",
    # German, French, Spanish, Italian, Portuguese
    r"\bals (?:ki|sprachmodell|ki-assistent|ihr assistent|dein assistent)\b|\b(?:gerne|gern|natürlich"
    r"|selbstverständlich|klar)[,!.]\s*(?:ich (?:werde|habe|kann|erstelle|lege)|hier ist|hier sind)\b",
    r"\bich habe\b[^.!?\n]{0,70}\b(?:wie (?:gewünscht|von ihnen gewünscht|besprochen|gefordert)"
    r"|für (?:sie|dich)|erfolgreich)\b[^.!?\n]{0,40}",
    r"\b(?:ihre|deine) (?:datei|anfrage|aufgabe|dateien)\b[^.!?\n]{0,30}\b(?:wurde|wurden|ist fertig"
    r"|ist erledigt|ist bereit)\b|\bich (?:werde|kümmere mich)\b[^.!?\n]{0,40}\b(?:für (?:sie|dich)"
    r"|jetzt erstellen|nun erstellen|darum|umgehend|sofort)\b",
    r"\ben tant qu['e](?:ia| assistant|un assistant|une? )|\b(?:bien sûr|certainement|avec plaisir"
    r"|d'accord)\W+\s*(?:je vais|j'ai|voici|je m'en)\b|\bj'ai (?:bien |donc )?(?:créé|ajouté|modifié"
    r"|corrigé|mis à jour|généré|renommé|supprimé|fusionné)\b[^.!?\n]{0,60}\b(?:comme (?:demandé|vous)"
    r"|pour vous|avec succès|que vous)\b",
    r"\bvotre (?:fichier|demande|tâche|rapport)\b[^.!?\n]{0,20}\b(?:est prête?|a été)\b|\bvoici (?:le|la"
    r"|les|un|une|votre|vos) (?:résumé|fichier|script|nouveau|version|liste|rapport|résultat)",
    r"\bcomo (?:ia|asistente|modelo de lenguaje|inteligencia artificial|assistente|uma ia)\b|\b(?:claro"
    r"|por supuesto|con gusto|desde luego)\W+\s*(?:voy a|he|aquí (?:tienes|está)|me pongo|ahora)\b"
    r"|\bhe (?:creado|actualizado|añadido|corregido|generado|modificado|eliminado"
    r"|guardado)\b[^.!?\n]{0,60}\b(?:como (?:pediste|pidió|solicitaste|solicitó)|para (?:ti|usted)"
    r"|con éxito|que pediste|solicitad[oa])\b",
    r"\btu (?:archivo|solicitud|tarea|informe)\b[^.!?\n]{0,20}\b(?:está list[oa]|ha sido)\b"
    r"|\baquí (?:tienes|tiene|está) (?:el|la|un|una|los|las|tu|su)\b",
    r"\bho (?:creato|aggiornato|aggiunto|corretto|modificato"
    r"|salvato)\b[^.!?\n]{0,60}\b(?:come (?:richiesto|hai|ha)|per te|per lei)\b|\bcerto\W+\s*(?:ora|ecco"
    r"|provvedo|lo faccio|creo)\b|\becco (?:il|la|i|le|un|una) (?:riepilogo|file|script|versione|rapporto)",
)


def assistant_voice(turn: Turn) -> str:
    """Speaks as the one who does the work: reports, promises or hands over results."""
    return _speaks(turn) or _claims_the_work(turn)


_I_DID = re.compile(
    rf"\bi(?:'ve| have)?\s+(?:now\s+|just\s+"
    rf"|also\s+)?{_DEED}\b(?P<rest>[^.!?\n]{{0,90}}(?:\.\w[^.!?\n]{{0,40}})*)",
    re.I,
)


def _claims_the_work(turn: Turn) -> str:
    """Claims as its own what the agent was asked for: "I've created out/a.csv", right after asking for that file."""
    if turn.view is None:
        return ""
    evidence = turn.view.evidence
    made = {*evidence.diff.created, *evidence.diff.changed, *evidence.diff.deleted}
    wish = turn.known.index(turn.view.request)
    if wish >= 0:
        made |= {fact for fact in turn.known.wishes[wish].facts if re.search(r"[./]", fact)}
    for match in _I_DID.finditer(turn.bare):
        if any(path in match["rest"] for path in made) and not re.search(
            r"\b(?:opened|looked|checked|reviewed|yesterday|last (?:week|month|night)|myself|by hand"
            r"|earlier|before)\b",
            match[0],
            re.I,
        ):
            return match[0]
    return ""


offers_help = finder(
    r"\b(?:how|what|where) (?:else )?(?:can|may|could) i (?:\w+ )?(?:help|assist|support|do for|be of)\b",
    r"\bhow (?:may|can) i be of\b",
    r"\b(?:would|do) you (?:like|want|need|prefer) (?:for )?me to\b|\bwant me to\b|\bif you(?:'d"
    r"| would)? (?:like|want|need|prefer),? (?:i can|i could|i'll|i'd|me to)\b",
    r"\bshall i\b|\bshould i (?:also|go ahead|proceed|continue|create|update|add|fix|start|include"
    r"|generate|run|remove|delete)\b",
    r"\bi (?:can|could) (?:also |certainly |definitely |always |gladly )?(?:help|assist) (?:you|with)\b"
    r"|\bi(?:'m| am) (?:always |happy |glad |still )?(?:here|available|happy|glad|ready"
    r"|at your disposal) (?:to (?:help|assist|support)|for you if|if you (?:need|have)|whenever you)",
    r"\bi(?:'d| would) be (?:more than )?(?:happy|glad|delighted|pleased) to\b(?! (?:see|have|hear|get"
    r"|receive|know|read|accept|be|find))",
    r"\bhappy to (?:help|assist|explain|adjust|walk you|make (?:any|further)|do (?:that|so) for you"
    r"|elaborate|clarify (?:anything|further))\b",
    r"\bfeel free to (?:ask|reach|let me|contact|come back|send me (?:any|more)|get back)\b"
    r"|\bdon't hesitate to\b|\bdo not hesitate to\b",
    r"\b(?:anything|something) else (?:i can|you need|you'd like|you would like|you want|that you need"
    r"|i could|i may|on your mind|to (?:fix|change|add) for you)\b",
    r"\blet me know if (?:you(?:'d| would)? (?:need|want|like|require|wish|run into|encounter|have)"
    r"|there(?:'s| is)|i can|i should|any)\b(?![^.!?\n]*\b(?:from me|from my side|from us|from our side"
    r"|on my end|before you (?:start|begin)|about (?:my|the) (?:request|ask)|to do (?:this|that|it)\b"
    r"|to get started|to go on|access)\b)(?! (?:questions\b|a (?:better|question)|any problem|trouble))",
    r"\bi(?:'m| am) (?:just )?a message away\b|\bglad (?:i could|to be of|to have) \w+|\bglad to help\b"
    r"|\byou're (?:very |most )?welcome\b(?! to)|\bmy pleasure\b|\bat your service\b"
    r"|\bit was a pleasure (?:helping|assisting)",
    r"\bi can (?:also )?(?:provide|prepare|create|generate|write|draft|set up|walk you|explain|show you"
    r"|make|do|add|offer|suggest)\b[^.!?\n]*\bif (?:you|needed|that|desired)",
    r"\b(?:need|require) (?:any )?(?:more|further|additional|other) (?:help|assistance|support)\b",
    r"\bis there (?:anything|something|any other) [^.!?\n]{0,25}(?:help|assist|for you|do you need)\b"
    r"|\bcan i (?:help|assist|do anything|offer|get you)\b|\bmay i (?:help|assist|suggest|offer)\b"
    r"|\bwhat (?:can|could) i do for you\b|\blet me help\b",
    # German, French, Spanish, Italian, Portuguese
    r"\b(?:wie|womit|wobei) kann ich (?:ihnen|dir|euch|noch|weiter|sonst)\b|\b(?:soll|darf"
    r"|kann) ich (?:ihnen|dir|noch|auch|sonst|das|die|den|gleich)\b[^.!?\n]*\?"
    r"|\bmelden sie sich\b[^.!?\n]*\b(?:wenn|falls|jederzeit|gerne)|\bmeld dich\b[^.!?\n]*\b(?:wenn"
    r"|falls) du (?:noch|weitere|hilfe)|\b(?:helfe|unterstütze) (?:ich )?(?:ihnen|dir) gern"
    r"|\bmöchte(?:n sie|st du), dass ich\b|\bstehe? ich (?:ihnen|dir)?\s*(?:gerne? "
    r"|jederzeit )?zur verfügung|\bich stehe\b[^.!?\n]{0,40}zur verfügung",
    r"\bcomment puis-je\b|\ben quoi puis-je\b|\bpuis-je (?:vous|t')\s?aider|\b(?:voulez-vous"
    r"|souhaitez-vous|veux-tu|aimeriez-vous) que je\b|\bn'hésite[sz]? pas\b|\bje (?:suis|reste) (?:là"
    r"|à votre disposition|disponible) (?:pour|si)?|\bà votre disposition\b|\bavec plaisir si\b",
    r"\b(?:en qué|cómo) (?:puedo|te puedo|le puedo) ayudar|\b(?:quieres|quiere|te gustaría|le gustaría"
    r"|desea|deseas) que (?:lo |la |te |le |yo )?\w+|\bno dud(?:es|e) en\b|\bestoy (?:aquí|para|a tu"
    r"|a su)\b[^.!?\n]{0,30}\b(?:ayudar|disposición)|\b(?:algo|alguna cosa) más en (?:lo )?que (?:pueda"
    r"|puedo)\b",
    r"\b(?:come|in che modo) posso (?:aiutar|esser)|\b(?:vuoi|vuole|desidera"
    r"|ti piacerebbe) che (?:io )?\w+|\bnon esitare\b|\bposso aiutar|\bcomo posso (?:ajudar|ser útil)"
    r"|\bquer que eu\b|\bgostaria que eu\b|\bnão hesite\b|\bposso ajudar",
)

asks_about_own_task = finder(
    r"\bwhat (?:exactly |precisely |specifically |else )?(?:would|do|did|should|can|are) you (?:exactly "
    r"|like|want|wish|need|expect|hope|trying|looking|aiming)\b(?! from (?:me|us"
    r"|my))(?! for lunch)(?![^.!?\n]*\bfrom (?:me|my side|us)\b)",
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
    r"\b(?:could|can|would|will) you (?:please )?(?:clarify|specify|elaborate|explain|tell me|describe"
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
    r"\bwhat (?:do|should|must|can) i (?:do|work on|start|need to do|have to do|ask)\b(?! if)"
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
    # German, French, Spanish, Italian, Portuguese
    r"\bwas (?:genau )?(?:soll ich|möchten sie|möchtest du|willst du|brauchst du|brauchen sie|ist (?:die"
    r"|meine|ihre|deine) aufgabe|ist (?:das|dein|ihr) ziel)\b(?![^.!?\n]*von mir)"
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

_explains = finder(
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
    r"^\s*1[.)]\s+(?:open|install|run|create|navigate|use|import|first|make sure|go to|check|write|copy"
    r"|click|read|load|start|execute|define|call|cd)\b[^\n]*(?:\n+|\s+)(?:.*\n)?\s*2[.)]\s",
    r"\b(?:to|in order to) (?:do|fix|solve|achieve|sort|get|count|accomplish|merge|remove|convert|handle"
    r"|create|rename|find|check|resolve|avoid|run|add|list|extract|make|compute|calculate"
    r"|combine)\b[^.!?\n]{0,60},\s*(?:you (?:can|could|need|should|have|would|'ll|simply|just|first)"
    r"|(?:simply|just|first|we (?:can|need|first|should)|i(?:'d| would) (?:recommend|suggest)|use|run"
    r"|open|start by|try)\b)",
    r"\b(?:the|this|that|your) (?:error|problem|issue|bug|exception|traceback|failure"
    r"|warning)\b[^.!?\n]{0,40}\b(?:occurs?|happens?|arises?|is caused|is due|stems?|means|indicates"
    r"|comes from|appears) (?:because|when|by|to|that|from|if)\b",
    r"\b(?:the|a|one|best|easiest|simplest) (?:\w+ )?(?:solution|way|approach|fix|answer|trick) (?:is"
    r"|would be|to (?:do|fix|solve) (?:this|that|it) is)\b(?! (?:up to|yours|fine|what|not|wrong"
    r"|off))[^?\n]*$",
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
    r"|works out (?:to|at))\s*:?\s*[\d$€£“]",
    r"\b(?:there are|you have) (?:several|a few|two|three|multiple|many|a couple of) (?:ways|options"
    r"|approaches|methods|possibilities) (?:to|for|here)\b|\bin (?:summary|conclusion|short),"
    r"|\bgood question[!.,]|\bgreat question\b|\bhope (?:this|that) helps\b|\bkey (?:points|differences"
    r"|takeaways)\b",
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


def answers_instead_of_asking(turn: Turn) -> str:
    """Does or explains the work itself, as a tutor would."""
    return _explains(turn)
