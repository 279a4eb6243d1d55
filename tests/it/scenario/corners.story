# Submodules, links, line ends in git, hunks, conflicts, texts that come back.

== A submodule is a repository of its own
me types app.py
  | import library
git add -A
git commit -qm app
me runs "git init -q -b main ../library && git -C ../library commit -q --allow-empty -m start"
git -c protocol.file.allow=always submodule add -q ../library library
git commit -qm library
in app/library
claude edits shapes.py
  | def area(w, h):
  |     return w * h
me types shapes.py
  claude | def area(w, h):
  claude |     return w * h
  me     | UNIT = 1
git add -A
git commit -qm shapes
blame shapes.py at HEAD
  claude | def area(w, h):
  claude |     return w * h
  me     | UNIT = 1
in app
git commit -qam "the library goes on"
blame app.py at HEAD
  me | import library
blame library/shapes.py
  claude | def area(w, h):
  claude |     return w * h
  me     | UNIT = 1

== A file that is written through a link has its authors under its own name
me types lib/real.py
  | first = 1
me runs "ln -s lib/real.py link.py"
claude edits link.py
  | first = 1
  | second = compute_the_second(first)
blame lib/real.py
  me     | first = 1
  claude | second = compute_the_second(first)
me types link.py
  | first = 1
  | second = compute_the_second(first)
  | third = 3
git add -A
git commit -qm linked
blame lib/real.py at HEAD
  me     | first = 1
  claude | second = compute_the_second(first)
  me     | third = 3
blame link.py at HEAD
  ? | lib/real.py

== A link in whose place an agent puts a file is the agent's file
me types lib/real.py
  | first = 1
me runs "ln -s lib/real.py link.py"
git add -A
git commit -qm linked
claude runs "printf 'second = compute_the_second()\n' > new && mv new link.py"
blame link.py
  claude | second = compute_the_second()
blame lib/real.py
  me | first = 1

== A file that is opened through a linked directory is the same file
claude edits lib/real.py
  | second = compute_the_second(first)
me runs "ln -s lib other"
me types other/real.py
  claude | second = compute_the_second(first)
  me     | third = 3
git add lib
git commit -qm linked
blame lib/real.py at HEAD
  claude | second = compute_the_second(first)
  me     | third = 3

== A link that is committed is one line of whoever made it, and not the text behind it
claude edits real.py
  | def area(w, h):
  |     return w * h
me runs "ln -s real.py link.py"
git add -A
git commit -qm linked
blame link.py at HEAD
  ? | real.py

== Line ends that git converts change no author
git config core.autocrlf true
claude edits app.py crlf
  | first = load(path)
  | second = store(path)
me types app.py crlf
  | first = load(path)
  | x = 1
  | second = store(path)
git add -A
git commit -qm one
blame app.py at HEAD
  claude | first = load(path)
  me     | x = 1
  claude | second = store(path)
me quits
me runs "rm app.py"
git checkout -q -- app.py
blame app.py
  claude | first = load(path)
  me     | x = 1
  claude | second = store(path)

== A path with quotes and a line break that moves keeps its authors
claude edits "it's\n\"odd\".py"
  | def area(w, h):
  |     return w * h
git add -A
git commit -qm odd
git mv "it's\n\"odd\".py" "příliš \"žluťoučký\"\n🦀.py"
git commit -qm moved
blame "příliš \"žluťoučký\"\n🦀.py" at HEAD
  claude | def area(w, h):
  claude |     return w * h
me types "příliš \"žluťoučký\"\n🦀.py"
  claude | def area(w, h):
  claude |     return w * h
  me     | ende = "早餐"

== Letters that git would write in two ways are one line of one author
claude edits app.py
  | naïve = "é"
  | emoji = "👩‍👩‍👧"
me types app.py
  claude    | naïve = "é"
  claude>me | emoji = "👩‍👩‍👧 x"
git add -A
git commit -qm letters
blame app.py at HEAD
  claude    | naïve = "é"
  claude>me | emoji = "👩‍👩‍👧 x"

== A formatter that nobody saw keeps every author
claude edits app.py
  | result = frobnicate(first_argument, second_argument)
me types app.py
  | result = frobnicate(first_argument, second_argument)
  | print(result)
someone runs "printf 'result = frobnicate(\n    first_argument,\n    second_argument,\n)\nprint( result )\n' > app.py"
blame app.py
  claude | result = frobnicate(
  claude |     first_argument,
  claude |     second_argument,
  claude | )
  me     | print( result )

== A formatter that runs inside the commit keeps every author
me runs "printf '#!/bin/sh\nsed -i \"s/^    /  /\" app.py && git add app.py\n' > .git/hooks/pre-commit && chmod +x .git/hooks/pre-commit"
claude edits app.py
  | def area(w, h):
  |     return w * h
me types app.py
  | def area(w, h):
  |     return w * h
  | def volume(a, d):
  |     return a * d
git add -A
git commit -qm formatted
blame app.py at HEAD
  claude | def area(w, h):
  claude |   return w * h
  me     | def volume(a, d):
  me     |   return a * d

== Code that nobody saw moving to another file keeps its author in the commit
claude edits app.py
  | def load_settings(path):
  |     with open(path) as handle:
  |         return json.load(handle)
  | run(everything)
git add -A
git commit -qm one
someone runs "head -3 app.py > settings.py && sed -i 1,3d app.py"
git add -A
git commit -qm moved
blame settings.py at HEAD
  claude | def load_settings(path):
  claude |     with open(path) as handle:
  claude |         return json.load(handle)
blame app.py at HEAD
  claude | run(everything)

== Code that an agent moves to a file of an earlier name keeps the person who wrote it
me types b.py
  | import json
  | def load_settings(path):
  |     with open(path) as handle:
  |         return json.load(handle)
me quits
claude edits b.py
  | run(everything)
and a.py
  claude | import json as json_module
  me     | def load_settings(path):
  me     |     with open(path) as handle:
  me     |         return json.load(handle)

== Blocks that an agent moves both ways between two files keep their authors
me types app.py
  | def load_settings(path):
  |     with open(path) as handle:
  |         return json.load(handle)
codex edits other.py
  | def store_settings(path, settings):
  |     with open(path, "w") as handle:
  |         json.dump(settings, handle)
me quits
claude edits app.py
  | def store_settings(path, settings):
  |     with open(path, "w") as handle:
  |         json.dump(settings, handle)
and other.py
  me | def load_settings(path):
  me |     with open(path) as handle:
  me |         return json.load(handle)
blame app.py
  codex | def store_settings(path, settings):
  codex |     with open(path, "w") as handle:
  codex |         json.dump(settings, handle)

== Two files that change their names keep their authors
claude edits a.py
  | def load_settings(path):
  |     with open(path) as handle:
  |         return json.load(handle)
codex edits b.py
  | class Registry(dict):
  |     def close(self):
  |         self.clear()
git add -A
git commit -qm two
me runs "mv a.py c.py && mv b.py a.py && mv c.py b.py"
git commit -qam swapped
blame a.py at HEAD
  codex | class Registry(dict):
  codex |     def close(self):
  codex |         self.clear()
blame b.py at HEAD
  claude | def load_settings(path):
  claude |     with open(path) as handle:
  claude |         return json.load(handle)

== A hunk that is split is committed in its parts
me types app.py
  | head = 0
  | a = 1
  | tail = 9
git add -A
git commit -qm base
claude edits app.py
  | prepare_everything(now)
  | head = 0
  | a = 1
  | tail = 9
codex edits app.py
  | prepare_everything(now)
  | head = 0
  | a = 1
  | tail = 9
  | finish_everything(now)
git add -p <<s n y
git commit -qm "the end"
blame app.py at HEAD
  me    | head = 0
  me    | a = 1
  me    | tail = 9
  codex | finish_everything(now)
git commit -qam "the beginning"
blame app.py at HEAD
  claude | prepare_everything(now)
  me     | head = 0
  me     | a = 1
  me     | tail = 9
  codex  | finish_everything(now)

== What is taken out of the index again is not in the commit
me types app.py
  | head = 0
  | a = 1
  | b = 2
  | c = 3
  | d = 4
  | e = 5
  | f = 6
  | g = 7
  | tail = 9
git add -A
git commit -qm base
claude edits app.py
  | prepare_everything(now)
  | a = 1
  | b = 2
  | c = 3
  | d = 4
  | e = 5
  | f = 6
  | g = 7
  | finish_everything(now)
git add -A
git restore --staged -p <<y n
git commit -qm "the end"
blame app.py at HEAD
  me     | head = 0
  me     | a = 1
  me     | b = 2
  me     | c = 3
  me     | d = 4
  me     | e = 5
  me     | f = 6
  me     | g = 7
  claude | finish_everything(now)

== A new file of which a part is committed
claude edits app.py
  | def area(w, h):
  |     return w * h
me types app.py
  | def area(w, h):
  |     return w * h
  | print(area(2, 3))
me runs "git add -N app.py && head -2 app.py > part && git diff app.py | sed '/print/d;s/,3 @@/,2 @@/' | git apply --cached && rm part"
git commit -qm part
blame app.py at HEAD
  claude | def area(w, h):
  claude |     return w * h
blame app.py
  claude | def area(w, h):
  claude |     return w * h
  me     | print(area(2, 3))

== A conflict that a person resolves in the open editor
me types app.py
  | value = 0
git add -A
git commit -qm base
git switch -qc side
claude edits app.py
  | limit = read_limit_from(configuration)
git commit -qam side
git switch -q main
codex edits app.py
  | bound = ask_user_for_bound(prompt)
git commit -qam mine
me opens app.py
git! merge side
me types app.py
  | bound = ask_user_for_bound(prompt)
  | limit = read_limit_from(configuration)
  | both = True
git add -A
git commit -qm merged
blame app.py at HEAD
  codex  | bound = ask_user_for_bound(prompt)
  claude | limit = read_limit_from(configuration)
  me     | both = True

== A conflict that is resolved by one side whole has that side's author
me types app.py
  | value = 0
git add -A
git commit -qm base
git switch -qc side
claude edits app.py
  | limit = read_limit_from(configuration)
git commit -qam side
git switch -q main
codex edits app.py
  | bound = ask_user_for_bound(prompt)
git commit -qam mine
git! merge side
git checkout -q --theirs app.py
git add -A
git commit -qm merged
blame app.py at HEAD
  claude | limit = read_limit_from(configuration)

== Two agents in two work trees keep their own lines after the merge
me types app.py
  | head = 0
  | a = 1
  | b = 2
  | c = 3
  | tail = 9
git add -A
git commit -qm base
me quits
git worktree add -q -b side ../linked
claude edits app.py
  | head = 0
  | a = 1
  | b = 2
  | c = 3
  | tail = 9
  | finish_everything(now)
in linked
codex edits app.py
  codex | prepare_everything(now)
  me    | head = 0
  me    | a = 1
  me    | b = 2
  me    | c = 3
  me    | tail = 9
git commit -qam side
in app
git commit -qam mine
git merge -q --no-edit side
blame app.py at HEAD
  codex  | prepare_everything(now)
  me     | head = 0
  me     | a = 1
  me     | b = 2
  me     | c = 3
  me     | tail = 9
  claude | finish_everything(now)

== A branch that begins without a past has its authors all the same
claude edits app.py
  | def area(w, h):
  |     return w * h
git add -A
git commit -qm one
git checkout -q --orphan fresh
me types app.py
  | def area(w, h):
  |     return w * h
  | x = 1
git add -A
git commit -qm fresh
blame app.py at HEAD
  claude | def area(w, h):
  claude |     return w * h
  me     | x = 1

== What was committed without a branch keeps its authors when it gets one
claude edits app.py
  | def area(w, h):
  |     return w * h
git add -A
git commit -qm one
git checkout -q --detach
codex edits app.py
  | def area(w, h):
  |     return w * h
  | print(area(2, 3))
git commit -qam two
git switch -q main
git switch -qc kept HEAD@{1}
blame app.py
  claude | def area(w, h):
  claude |     return w * h
  codex  | print(area(2, 3))

== A line that an agent wrote and git took back is the person's who types it later
me types app.py
  | x = 1
git add -A
git commit -qm base
claude edits app.py
  | x = 1
  | total = compute(x)
git checkout -q -- app.py
me types app.py
  me | x = 1
  me | total = compute(x)

== A person's unsaved text that goes over an agent's edit is what is there
me types app.py
  | first = 1
me types app.py unsaved
  | first = 1
  | second = 2
claude edits app.py
  | first = 1
  | overwritten = compute(first)
me saves app.py
blame app.py
  me | first = 1
  me | second = 2

== Another mode of a file changes nobody's line
claude edits app.py
  | def area(w, h):
  |     return w * h
git add -A
git commit -qm one
me runs "chmod +x app.py"
git commit -qam executable
blame app.py at HEAD
  claude | def area(w, h):
  claude |     return w * h
