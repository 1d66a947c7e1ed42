"""Whose voice is it? A user asks; one who reports work as its own or offers help has changed sides.

The patterns cover English first and the commonest forms in German, French, Spanish, Italian and Portuguese. What is
quoted or reported ("you said you'd be happy to help") is passed over.
"""

from __future__ import annotations

import re

from ise_gym.simulator.detectors.base import Turn, finder, watches
from ise_gym.simulator.detectors.chinese import ASSISTANT, HELP

_DEED = (
    r"(?:created|updated|written|rewritten|fixed|modified|implemented|generated|refactored|renamed|moved"
    r"|merged|added|"
    r"deleted|removed|converted|saved|extracted|sorted|cleaned(?: up)?|set up|configured|installed"
    r"|completed|finished|"
    r"edited|appended|corrected|resolved|sent|wrote|built|produced|prepared|organi[sz]ed|counted"
    r"|computed|calculated|double-checked|executed|"
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
_speaks = finder(
    *ASSISTANT,
    r"\bas an? (?:(?:helpful|digital|mere|good) )?(?:ai|language model|artificial intelligence"
    r"|virtual assistant|ai assistant|assistant)\b",
    r"\bi(?:'m| am) (?:just |only )?(?:an? |your )(?:ai\b|language model|(?:virtual |ai |digital "
    r"|helpful )?assistant\b|chatbot|bot\b)",
    r"\bmy (?:training data|knowledge cutoff|previous response|capabilities as)\b",
    r"\bi(?:'ve| have)\s+(?:now\s+|just\s+|also\s+|already\s+)?(?:gone ahead and|successfully"
    r"|taken the liberty)\b",
    r"\bi (?:went ahead and|successfully)\s+\w+",
    rf"\bi(?:'ve| have)?\s+(?:now\s+|just\s+|also\s+|already\s+)?{_DEED}\b[^.!?\n]{{0,80}}\b{_FOR_YOU}",
    rf"{_FOR_YOU}[,:]?\s+(?:the|i|your|all|here|everything|both)\b",
    rf"\byour (?:\w+ ){{1,3}}(?:is|are|has been|have been) (?:now |all )?(?:\w+ly )?"
    rf"(?:ready|{_DEED}|processed|in place)\b(?! by (?:hand|me))",
    rf"\bsuccessfully {_DEED}\b|\b(?:has|have) been {_DEED} successfully\b",
    r"^[^\w\n]*(?:sure(?: thing)?|certainly|of course|absolutely|understood|got it|no problem|right away"
    r"|gladly|with pleasure|okay|ok|alright|great)"
    r"\W+(?:i'll|i will|i'm going to|let me|i can do|i'd be|i would be|here(?:'s| is| are)|i am going"
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
    rf"|here)\b[^?\n]{{0,300}}\b(?:now|is|are|has|have|{_DEED})\b",
    r"\bthe (?:task|request) (?:is|has been) (?:now )?(?:complete|completed|done"
    r"|fulfilled)\b(?! as )[^.!?\n]{0,300}(?:\bif you\b|\bsuccessfully\b|[.!]?\s*$)(?<!\?)",
    r"\bplease review and\b|\blet me know your thoughts\b|\bno errors (?:were )?encountered\b",
    rf"\b(?:has|have|was|were) (?:been )?{_DEED}\b[^.!?\n]{{0,40}}\b(?:as you (?:requested|asked"
    rf"|instructed|wanted"
    r"|specified)|for you\b|per your)",
    rf"^[^\w\n]*(?:completed|done|finished|complete)[.!]+\s+(?:\w+ ){{1,3}}{_DEED}\b",
    r"^[^\w\n]*(?:i'm )?on it\b|\bi(?:'ve)? got this\b|\bconsider it done\b|\bleave (?:it|this|that) (?:to"
    r"|with) me\b"
    r"|\bas we speak\b|\b(?:sorting|writing|creating|updating|fixing|merging|moving|renaming|adding) your\b",
    r"\bi(?:'m| am) (?:\w+ )?(?!waiting|looking|counting|rooting|hoping)\w+ing\b[^.!?\n]{0,40}\bfor you\b",
    # German, French, Spanish, Italian, Portuguese
    r"\bals (?:ki|sprachmodell|ki-assistent|ihr assistent|dein assistent)\b|\b(?:gerne|gern|natürlich"
    r"|selbstverständlich|klar)[,!.]\s*(?:ich (?:werde|habe|kann|erstelle|lege)|hier ist|hier sind)\b",
    r"\bich habe\b[^.!?\n]{0,70}\b(?:wie (?:gewünscht|von ihnen gewünscht|besprochen|gefordert)"
    r"|für (?:sie|dich)|erfolgreich)\b[^.!?\n]{0,40}",
    r"\b(?:ihre|deine) (?:datei|anfrage|aufgabe|dateien)\b[^.!?\n]{0,30}\b(?:wurde|wurden|ist fertig"
    r"|ist erledigt|ist bereit)\b|\bich (?:werde|kümmere mich)\b[^.!?\n]{0,40}\b(?:für (?:sie|dich)"
    r"|jetzt erstellen|nun erstellen|darum|umgehend|sofort)\b",
    r"\ben tant qu['e](?:ia| assistant|un assistant|une? )|\b(?:bien sûr|certainement|avec plaisir"
    r"|d'accord)\W+(?:je vais|j'ai|voici|je m'en)\b|\bj'ai (?:bien |donc )?(?:créé|ajouté|modifié"
    r"|corrigé|mis à jour|généré|renommé|supprimé|fusionné)\b[^.!?\n]{0,60}\b(?:comme (?:demandé|vous)"
    r"|pour vous|avec succès|que vous)\b",
    r"\bvotre (?:fichier|demande|tâche|rapport)\b[^.!?\n]{0,20}\b(?:est prête?|a été)\b|\bvoici (?:le|la"
    r"|les|un|une|votre|vos) (?:résumé|fichier|script|nouveau|version|liste|rapport|résultat)",
    r"\bcomo (?:ia|asistente|modelo de lenguaje|inteligencia artificial|assistente|uma ia)\b|\b(?:claro"
    r"|por supuesto|con gusto|desde luego)\W+(?:voy a|he|aquí (?:tienes|está)|me pongo|ahora)\b"
    r"|\bhe (?:creado|actualizado|añadido|corregido|generado|modificado|eliminado"
    r"|guardado)\b[^.!?\n]{0,60}\b(?:como (?:pediste|pidió|solicitaste|solicitó)|para (?:ti|usted)"
    r"|con éxito|que pediste|solicitad[oa])\b",
    r"\btu (?:archivo|solicitud|tarea|informe)\b[^.!?\n]{0,20}\b(?:está list[oa]|ha sido)\b"
    r"|\baquí (?:tienes|tiene|está) (?:el|la|un|una|los|las|tu|su)\b",
    r"\bho (?:creato|aggiornato|aggiunto|corretto|modificato"
    r"|salvato)\b[^.!?\n]{0,60}\b(?:come (?:richiesto|hai|ha)|per te|per lei)\b|\bcerto\W+(?:ora|ecco"
    r"|provvedo|lo faccio|creo)\b|\becco (?:il|la|i|le|un|una) (?:riepilogo|file|script|versione|rapporto)",
)


@watches("perspective_lock", "it speaks as the one who does the work")
def assistant_voice(turn: Turn) -> str:
    """Speaks as the one who does the work: reports, promises or hands over results."""
    return _speaks(turn) or _claims_the_work(turn)


_I_DID = re.compile(
    rf"\bi(?:'ve| have)?\s+(?:now\s+|just\s+"
    rf"|also\s+)?{_DEED}\b(?P<rest>[^.!?\n]{{0,90}}(?:\.\w[^.!?\n]{{0,40}}){{0,12}})",
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


_WH = re.compile(
    r"\b(?:what|which|where|how|when|whom?|was|welche\w*|wo|wohin|wie|qu|que|quel\w*|où|comment|qué"
    r"|cuál\w*|dónde"
    r"|cómo|come|cosa|dove|quale?)\b[^.?!\n]{0,300}$",
    re.IGNORECASE,
)

offers_help = watches("perspective_lock", "it offers help, and you are the one who wants something")(
    finder(
        *HELP,
        r"\b(?:how|what|where) (?:else )?(?:can|may|could) i (?:\w+ )?(?:help|assist|support|do for|be of)\b",
        r"\b(?:may|can|could) i be of\b",
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
        r"|there(?:'s| is)|i can|i should|any)\b(?![^.!?\n]{0,200}\b(?:from me|from my side|from us|from our side"
        r"|on my end|before you (?:start|begin)|about (?:my|the) (?:request|ask)|to do (?:this|that|it)\b"
        r"|to get started|to go on|access)\b)(?! (?:questions\b|a (?:better|question)|any problem|trouble))",
        r"\bi(?:'m| am) (?:just )?a message away\b|\bglad (?:i could|to be of|to have) \w+|\bglad to help\b"
        r"|\byou're (?:very |most )?welcome\b(?! to)|\bmy pleasure\b|\bat your service\b"
        r"|\bit was a pleasure (?:helping|assisting)",
        r"\bi can (?:also )?(?:provide|prepare|create|generate|write|draft|set up|walk you|explain|show you"
        r"|make|do|add|offer|suggest)\b[^.!?\n]{0,200}\bif (?:you|needed|that|desired)",
        r"\b(?:need|require) (?:any )?(?:more|further|additional|other) (?:help|assistance|support)\b",
        r"\bis there (?:anything|something|any other) [^.!?\n]{0,25}(?:help|assist|for you|do you need)\b"
        r"|\bcan i (?:help|assist|do anything|offer|get you)\b|\bmay i (?:help|assist|suggest|offer)\b"
        r"|\bwhat (?:can|could) i do for you\b|\blet me help\b",
        r"\bsay the word\b|\bi (?:remain|stay|am) (?:always )?available\b|\bneed (?:a|any) (?:hand|help)\b"
        r"|\b(?:just|give me a) shout\b(?![^.!?\n]{0,200}\bfrom me\b)|\bshould (?:anything|something) (?:else"
        r"|further)\b",
        r"\bany(?:thing)?(?: other| else| further| more)?(?: \w+){0,2} i (?:can|could|should"
        r"|may) (?:\w+ ){1,3}for you\b",
        r"\bi (?:could|can) (?!(?:also )?(?:send|give|show|share|forward|live"
        r"|wait))[^.!?\n]{2,50}\bif you (?:want|like|wish"
        r"|need|prefer)\b",
        # German, French, Spanish, Italian, Portuguese
        r"\b(?:wie|womit|wobei) kann ich (?:ihnen|dir|euch|noch|weiter|sonst)\b|\b(?:soll|darf"
        r"|kann) ich (?:ihnen|dir|noch|auch|sonst|das|die|den|gleich)\b[^.!?\n]{0,200}\?"
        r"|\bmelden sie sich\b[^.!?\n]{0,200}\b(?:wenn|falls|jederzeit|gerne)|\bmeld dich\b[^.!?\n]{0,200}\b(?:wenn"
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
        unless=_WH,  # "what would you like me to do" asks, it does not offer
    )
)
