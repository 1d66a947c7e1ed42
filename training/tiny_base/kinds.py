"""The job kinds that the base model is pretrained on, as data.

Each kind is wordings, one or more calls, and a reply. ``{a}`` ``{b}`` ``{c}`` are paths, ``{w}`` ``{v}`` words,
``{n}`` ``{m}`` figures, ``{x}`` a made-up command. None of them is a kind of the task catalog: nothing here
writes a note, appends, renames, moves, copies or deletes a file, makes a folder, changes a setting, sets
permission bits, runs a script or touches a repository. `tests/training` checks the commands against that list.
"""

from __future__ import annotations

from dataclasses import dataclass

CATALOG_COMMANDS = frozenset(
    "mv cp rm mkdir rmdir chmod bash sh python python3 git echo printf tee sed install rename unlink".split()
)
"""Commands with which the catalog's easy tasks are solved; no kind may use one."""


@dataclass(frozen=True)
class Kind:
    """Wordings, shell commands in order, and the closing words."""

    say: tuple[str, ...]
    commands: tuple[str, ...]
    reply: tuple[str, ...]


KINDS: tuple[Kind, ...] = (
    Kind(("count the lines of {a}", "how many lines has {a}", "line count for {a}"),
         ("wc -l {a}",), ("I counted the lines of {a}.",)),
    Kind(("how many words are in {a}", "count words in {a}"), ("wc -w {a}",), ("These are the words of {a}.",)),
    Kind(("sort {a} into {b}", "put a sorted version of {a} in {b}", "{b} should be {a} but sorted"),
         ("sort {a} > {b}",), ("{b} holds the sorted lines of {a}.", "Sorted {a} into {b}.")),
    Kind(("sort {a} by number into {b}", "numeric order of {a}, result in {b}"),
         ("sort -n {a} > {b}",), ("{b} is in numeric order.",)),
    Kind(("reverse {a} into {b}", "{a} upside down, in {b}"), ("tac {a} > {b}",), ("{b} is {a} reversed.",)),
    Kind(("show the first {n} lines of {a}", "head of {a}, {n} lines"),
         ("head -n {n} {a}",), ("These are the first {n} lines of {a}.",)),
    Kind(("show the last {n} lines of {a}", "tail {n} of {a}"),
         ("tail -n {n} {a}",), ("These are the last {n} lines of {a}.",)),
    Kind(("find {w} in {a}", "search {a} for {w}", "does {a} mention {w}", "in {a} look for {w}"),
         ("grep {w} {a}",), ("I searched {a} for {w}.",)),
    Kind(("find {w} in {a} and keep the hits in {b}", "lines of {a} with {w} go to {b}", "{b}: all {w} lines from {a}"),
         ("grep {w} {a} > {b}",), ("The {w} lines of {a} are in {b}.",)),
    Kind(("how often is {w} in {a}", "count {w} in {a}"), ("grep -c {w} {a}",), ("I counted {w} in {a}.",)),
    Kind(("lines of {a} without {w} into {b}", "filter {w} out of {a}, result {b}"),
         ("grep -v {w} {a} > {b}",), ("{b} has no {w}.",)),
    Kind(("compare {a} with {b}", "difference between {a} and {b}", "what differs in {b} against {a}"),
         ("diff {a} {b}",), ("I compared {a} with {b}.",)),
    Kind(("are {a} and {b} the same bytes", "byte compare {a} and {b}"), ("cmp {a} {b}",), ("I compared the bytes.",)),
    Kind(("link {a} as {b}", "make {b} a symlink to {a}", "symlink {b} pointing at {a}"),
         ("ln -s {a} {b}",), ("{b} points at {a} now.",)),
    Kind(("pack {a} and {b} into {c}", "tar up {a} with {b} as {c}", "archive {c} from {a} and {b}"),
         ("tar -cf {c} {a} {b}",), ("{c} holds {a} and {b}.",)),
    Kind(("unpack {a} under {b}", "extract {a} to {b}"), ("tar -xf {a} -C {b}",), ("{a} is unpacked under {b}.",)),
    Kind(("compress {a}", "gzip {a} please"), ("gzip {a}",), ("{a} is compressed.",)),
    Kind(("checksum of {a}", "give me the sha of {a}", "hash {a}"), ("sha256sum {a}",), ("That is the checksum of {a}.",)),
    Kind(("store the checksum of {a} in {b}", "{b} gets the hash of {a}"),
         ("sha256sum {a} > {b}",), ("The checksum of {a} is in {b}.",)),
    Kind(("how big is {a}", "size of {a}"), ("du -b {a}",), ("That is the size of {a}.",)),
    Kind(("what type of file is {a}", "identify {a}"), ("file {a}",), ("I looked at the type of {a}.",)),
    Kind(("details of {a}", "when was {a} changed"), ("stat {a}",), ("Here are the details of {a}.",)),
    Kind(("list {a}", "what is in folder {a}", "show the content of folder {a}"), ("ls -la {a}",), ("That is {a}.",)),
    Kind(("join {a} and {b} into {c}", "{c} is {a} then {b}", "glue {b} after {a}, as {c}"),
         ("cat {a} {b} > {c}",), ("{c} is {a} followed by {b}.",)),
    Kind(("paste {a} beside {b} in {c}", "columns of {a} and {b} side by side into {c}"),
         ("paste {a} {b} > {c}",), ("{c} shows both side by side.",)),
    Kind(("unique lines of {a} to {b}", "drop repeated lines of {a}, write {b}"),
         ("sort -u {a} > {b}",), ("{b} has each line once.",)),
    Kind(("column {n} of {a} into {b}", "cut field {n} from {a} to {b}"),
         ("cut -d, -f{n} {a} > {b}",), ("Column {n} of {a} is in {b}.",)),
    Kind(("replace letter case in {a} to upper, save {b}", "{a} in capitals to {b}"),
         ("tr a-z A-Z < {a} > {b}",), ("{b} is in capitals.",)),
    Kind(("split {a} every {n} lines with prefix {b}", "cut {a} into pieces of {n} lines named {b}"),
         ("split -l {n} {a} {b}",), ("{a} is split into pieces of {n} lines.",)),
    Kind(("number the lines of {a} in {b}", "{b} with line numbers from {a}"),
         ("nl {a} > {b}",), ("{b} has line numbers.",)),
    Kind(("shrink {a} to {n} bytes", "truncate {a} at {n}"), ("truncate -s {n} {a}",), ("{a} has {n} bytes now.",)),
    Kind(("count from {n} to {m} into {a}", "numbers {n} to {m} in {a}"),
         ("seq {n} {m} > {a}",), ("{a} counts from {n} to {m}.",)),
    Kind(("find files called {w} under {a}", "where is {w} below {a}"),
         ("find {a} -name {w}",), ("I looked for {w} below {a}.",)),
    Kind(("set the date of {a} like {b}", "give {a} the time of {b}"),
         ("touch -r {b} {a}",), ("{a} has the time of {b}.",)),
    Kind(("wrap {a} at {n} columns into {b}", "fold {a} to width {n}, output {b}"),
         ("fold -w {n} {a} > {b}",), ("{b} is {n} columns wide.",)),
    Kind(("base64 of {a} to {b}", "encode {a} as {b}"), ("base64 {a} > {b}",), ("{b} is {a} encoded.",)),
    Kind(("shuffle {a} into {b} with seed {w}", "random order of {a} in {b}, seed {w}"),
         ("shuf --random-source={w} {a} > {b}",), ("{b} is {a} shuffled.",)),
    Kind(("sort {a} into {b} then count its lines", "{b} is sorted {a}; how many lines"),
         ("sort {a} > {b}", "wc -l {b}"), ("{b} is sorted, and counted.",)),
    Kind(("look at {a}, then compare it with {b}", "list {a} and check it against {b}"),
         ("ls -l {a}", "diff {a} {b}"), ("I compared {a} with {b}.",)),
    Kind(("pack {a} as {b} and check {b}", "tar {a} to {b}, then list {b}"),
         ("tar -cf {b} {a}", "tar -tf {b}"), ("{b} holds {a}.",)),
    Kind(("hash {a}, hash {b}, then compare", "checksums of {a} and {b}, and their difference"),
         ("sha256sum {a}", "sha256sum {b}", "cmp {a} {b}"), ("Both are hashed and compared.",)),
    Kind(("link {a} as {b} and list {b}", "symlink {b} to {a}, show it"),
         ("ln -s {a} {b}", "ls -l {b}"), ("{b} points at {a}.",)),
    Kind(("use {x} on {a}", "{x} the file {a}", "run {x} over {a}"), ("{x} {a}",), ("I used {x} on {a}.",)),
    Kind(("use {x} on {a} and {b}", "{x} {a} against {b}", "{x} with {a}, then {b}"),
         ("{x} {a} {b}",), ("{x} went over {a} and {b}.",)),
    Kind(("use {x} from {b} to {a}", "{x} backwards: {a} comes from {b}"), ("{x} {b} {a}",), ("{a} comes from {b}.",)),
    Kind(("use {x} on {a} with {w}", "{x} {a} and set {w}"), ("{x} --{w} {a}",), ("I used {x} with {w}.",)),
    Kind(("use {x} on {a} and keep {b}", "{x} {a}, output in {b}"), ("{x} {a} > {b}",), ("The output is in {b}.",)),
    Kind(("feed {a} to {x}, result {b}", "{x} reads {a} and fills {b}"), ("{x} < {a} > {b}",), ("{b} is filled.",)),
    Kind(("use {x} on {a} but not on {b}", "{x} {a}, leave {b} alone"), ("{x} {a}",), ("{b} is as it was.",)),
    Kind(("use {x} in folder {a} on {w} and {v}", "{x} for {w} and {v}, both in {a}"),
         ("{x} {a}/{w} {a}/{v}",), ("{w} and {v} are done.",)),
    Kind(("{x} with text {w} {v} for {a}", "the words {w} {v} to {a} by {x}"),
         ("{x} -t '{w} {v}' {a}",), ("{a} got {w} {v}.",)),
    Kind(("first {x} {a}, after that use {w} on {b}", "{x} {a}; {w} {b}"),
         ("{x} {a}", "{w} {b}"), ("{x} and {w} ran.",)),
    Kind(("{x} {a} {n} times up to {m}", "use {x} on {a} from {n} to {m}"),
         ("{x} -{n} +{m} {a}",), ("From {n} to {m}.",)),
    Kind(("{x} {w} first and then {a} as {b}", "start {x} for {w} on {a}, name it {b}"),
         ("{x} {w} {a} && {x} {b}",), ("{a} is {b} for {x}.",)),
)  # fmt: skip
