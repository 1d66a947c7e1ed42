"""What the package itself registers, kind by kind: the table that `ise_gym.registry` reads first.

Only text, so that listing what there is loads nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


def _under(package: str, **names: str) -> dict[str, str]:
    """Return name → ``module:Name`` of what lies in a package's modules, or (without a colon) in one module."""
    places = {
        name: f"{package}.{place}" if ":" in place else f"{package}:{place}" for name, place in names.items()
    }
    return {name.replace("_", "-"): place for name, place in places.items()}


KINDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "agent": {
            **_under(
                "ise_gym.agents",
                expert="expert:ExpertAgent",
                lazy="expert:LazyAgent",
                random="chance:RandomAgent",
                openai="openai:OpenAIAgent",
                litellm="litellm:LiteLLMAgent",
                transformers="transformers:TransformersAgent",
            ),
            "playback": "ise_gym.replay.playback:PlaybackAgent",
        },
        "user": _under(
            "ise_gym.simulator",
            scripted="scripted:ScriptedUser",
            llm="llm:LLMUser",
            single_turn="baselines:SingleTurnUser",
            naive="baselines:NaiveUser",
            human="human:HumanUser",
        ),
        "judge": {"llm": "ise_gym.simulator.judge:LLMJudge"},
        "detector": {
            "assistant_voice": "ise_gym.simulator.detectors.voice:assistant_voice",
            "offers_help": "ise_gym.simulator.detectors.voice:offers_help",
            "asks_about_own_task": "ise_gym.simulator.detectors.inquiry:asks_about_own_task",
            "answers_instead_of_asking": "ise_gym.simulator.detectors.inquiry:answers_instead_of_asking",
            "tool_call_syntax": "ise_gym.simulator.detectors.form:tool_call_syntax",
            "stage_direction": "ise_gym.simulator.detectors.form:stage_direction",
            "scenario_leak": "ise_gym.simulator.detectors.form:scenario_leak",
            "task_dump": "ise_gym.simulator.detectors.progress:task_dump",
            "repeats_itself": "ise_gym.simulator.detectors.progress:repeats_itself",
            "register_break": "ise_gym.simulator.detectors.register:register_break",
            "language_switch": "ise_gym.simulator.detectors.language:language_switch",
            "invented_state": "ise_gym.simulator.detectors.invented:invented_state",
            "premature_end": "ise_gym.simulator.detectors.progress:premature_end",
            "empty_turn": "ise_gym.simulator.detectors.form:empty_turn",
            "echoes_agent": "ise_gym.simulator.detectors.echo:echoes_agent",
            "refuses_as_assistant": "ise_gym.simulator.detectors.work:refuses_as_assistant",
            "reports_work": "ise_gym.simulator.detectors.work:reports_work",
            "claims_acts": "ise_gym.simulator.detectors.work:claims_acts",
            "wish_unsaid": "ise_gym.simulator.detectors.wishes:wish_unsaid",
            "cut_short": "ise_gym.simulator.detectors.wishes:cut_short",
            "asks_what_it_knows": "ise_gym.simulator.detectors.wishes:asks_what_it_knows",
            "recites_notes": "ise_gym.simulator.detectors.notes:recites_notes",
            "makes_no_sense": "ise_gym.simulator.detectors.sense:makes_no_sense",
            "sounds_adrift": "ise_gym.simulator.detectors.trained:sounds_adrift",
            "talks_to_itself": "ise_gym.simulator.detectors.notes:talks_to_itself",
        },
        "tool": {
            "exec": "ise_gym.tools.processes.shell:EXEC",
            "read": "ise_gym.tools.files.read_write:READ",
            "write": "ise_gym.tools.files.read_write:WRITE",
            "edit": "ise_gym.tools.files.edit:EDIT",
            "process": "ise_gym.tools.processes.process:PROCESS",
            "apply_patch": "ise_gym.tools.files.apply_patch:APPLY_PATCH",
            "update_plan": "ise_gym.tools.plan:UPDATE_PLAN",
            "memory_search": "ise_gym.tools.memory:MEMORY_SEARCH",
            "memory_get": "ise_gym.tools.memory:MEMORY_GET",
            "session_status": "ise_gym.tools.session_status:SESSION_STATUS",
            "web_fetch": "ise_gym.tools.web.tools:WEB_FETCH",
            "web_search": "ise_gym.tools.web.tools:WEB_SEARCH",
            "cron": "ise_gym.tools.cron:CRON",
            "tts": "ise_gym.tools.tts:TTS",
            "sessions_spawn": "ise_gym.tools.delegation.tools:SESSIONS_SPAWN",
            "sessions_send": "ise_gym.tools.delegation.tools:SESSIONS_SEND",
            "sessions_yield": "ise_gym.tools.delegation.tools:SESSIONS_YIELD",
            "sessions_list": "ise_gym.tools.delegation.tools:SESSIONS_LIST",
            "sessions_history": "ise_gym.tools.delegation.tools:SESSIONS_HISTORY",
            "subagents": "ise_gym.tools.delegation.tools:SUBAGENTS",
        },
        "check": _under(
            "ise_gym.checks",
            exists="files:ExistsCheck",
            absent="files:AbsentCheck",
            unchanged="files:UnchangedCheck",
            untouched="files:UntouchedCheck",
            mode="files:ModeCheck",
            text="content:TextCheck",
            json="content:JsonCheck",
            jsonl="content:JsonLinesCheck",
            yaml="content:YamlCheck",
            csv="content:CsvCheck",
            tree="files:TreeCheck",
            command="command:CommandCheck",
            archive="files:ArchiveCheck",
            mail="services:MailCheck",
            chat="services:ChatCheck",
            calendar="services:CalendarCheck",
            cron="cron:CronCheck",
            remote="remote:RemoteCheck",
            speech="speech:SpeechCheck",
            reply="heard:ReplyCheck",
            prose="heard:ProseCheck",
            outbox="services:OutboxCheck",
        ),
        "backend": _under(
            "ise_gym.workspace.backends",
            bubblewrap="bubblewrap:BubblewrapWorkspace",
            docker="docker:DockerWorkspace",
            unsafe_local="local:LocalWorkspace",
            dummy="dummy:DummyWorkspace",
        ),
        "service": _under(
            "ise_gym.services.spec",
            web="WEB",
            mail="MAIL",
            chat="CHAT",
            calendar="CALENDAR",
            cron="CRON",
            git="GIT",
            packages="PACKAGES",
        ),
        "source": {
            "catalog": "ise_gym.intents.source:IntentSource",
            "file": "ise_gym.intents.foreign:open_intent_file",
            "suite": "ise_gym.evaluation.suite:SuiteSource",
        },
        "exporter": _under(
            "ise_gym.trajectory.exchange",
            isetrace="export:isetrace_records",
            openai="export:openai_rows",
            trl="export:trl_rows_of",
            atif="export:atif_records",
            sharegpt="sharegpt:sharegpt_rows",
        ),
        "importer": _under(
            "ise_gym.trajectory.exchange.importer",
            isetrace="ISETRACE",
            atif="ATIF",
            inspect="INSPECT",
            verifiers="VERIFIERS",
            tau2="TAU2",
        ),
    }
)
"""Kind → built-in name → ``module:Name``."""
