# Live edits, suggestions, agents, formatters, undo.

== What a person types is theirs
me types app.py
  me | def add(a, b):
  me |     return a + b

== What an agent writes is the agent's
claude edits app.py
  claude | def add(a, b):
  claude |     return a + b

== A person's change inside an AI's line makes it a line of both
claude edits app.py
  | def area(w, h):
  |     return w * h
me types app.py
  claude    | def area(w, h):
  claude>me |     return 2 * w * h

== A line typed between an AI's lines is the person's, and theirs stay theirs
claude edits app.py
  | def area(w, h):
  |     return w * h
me types app.py
  claude | def area(w, h):
  me     |     check(w, h)
  claude |     return w * h

== A line an agent adds to a person's file is the agent's alone
me types app.py
  | import sys
  | print(sys.argv)
claude edits app.py
  me     | import sys
  claude | import os
  me     | print(sys.argv)

== A person's line that an agent changes is of both
me types app.py
  | timeout = parse(value)
  | print(timeout)
codex edits app.py
  me>codex | timeout = parse(value) * 1000
  me       | print(timeout)

== A person's line that an agent replaces by another is the agent's
me types app.py
  | import sys
  | total = 0
  | print(sys.argv)
codex edits app.py
  me    | import sys
  codex | for name in sorted(registry): registry[name].close()
  me    | print(sys.argv)

== An accepted suggestion is the tool's
me types app.py
  | def mean(values):
copilot completes app.py
  me      | def mean(values):
  copilot |     total = sum(values)
  copilot |     return total / len(values)

== What is typed after an accepted suggestion is the person's
me types app.py
  | def mean(values):
copilot completes app.py
  | def mean(values):
  |     return sum(values) / len(values)
me types app.py
  me      | def mean(values):
  copilot |     return sum(values) / len(values)
  me      | print(mean([1, 2]))

== A text that equals a dismissed suggestion is its typist's
me types app.py
  | def mean(values):
copilot offers app.py
  | def mean(values):
  |     return sum(values) / len(values)
me types app.py
  me | def mean(values):
  me |     return sum(values) / len(values)

== A formatter keeps every author
claude edits app.py
  | def add(a,b):
  |     return a+b
me types app.py
  | def add(a,b):
  |     return a+b
  | x=add(1,2)
formatter rewrites app.py
  claude | def add(a, b):
  claude |     return a + b
         |
         |
  me     | x = add(1, 2)

== A long line that a formatter wraps stays with whoever wrote it
claude edits app.py
  | result = frobnicate(first_argument, second_argument, third_argument)
me types app.py
  | result = frobnicate(first_argument, second_argument, third_argument)
  | print(result)
formatter rewrites app.py
  claude | result = frobnicate(
  claude |     first_argument,
  claude |     second_argument,
  claude |     third_argument,
  claude | )
  me     | print(result)

== A block that is indented by one more level keeps its authors
me types app.py
  | open_door()
claude edits app.py
  | open_door()
  | walk_through(slowly=True)
  | close_door()
formatter rewrites app.py
  me     |     open_door()
  claude |     walk_through(slowly=True)
  claude |     close_door()

== Spaces that become tabs change nobody's line
claude edits app.py
  | if ready:
  |     launch(rocket)
me types app.py
  | if ready:
  |     launch(rocket)
  |     wave(flag)
formatter rewrites app.py
  claude | if ready:
  claude | ⇥launch(rocket)
  me     | ⇥wave(flag)

== Undo takes an AI's text back and redo brings it as the AI's
me types app.py
  | def mean(values):
copilot completes app.py
  | def mean(values):
  |     return sum(values) / len(values)
me undoes app.py
  me | def mean(values):
me redoes app.py
  me      | def mean(values):
  copilot |     return sum(values) / len(values)

== What a person deletes and takes back by undo is still the AI's
claude edits app.py
  | first_line = compute()
  | second_line = compute_more(first_line)
me types app.py
  claude | first_line = compute()
me undoes app.py
  claude | first_line = compute()
  claude | second_line = compute_more(first_line)

== A block moved by an agent keeps the person who wrote it
me types app.py
  | def second():
  |     return prepare(2)
  |
  | def first():
  |     return prepare(1)
claude edits app.py
  me | def first():
  me |     return prepare(1)
     |
  me | def second():
  me |     return prepare(2)

== Code that an agent moves to another file in one call keeps the person who wrote it
me types app.py
  | import json
  | def load_settings(path):
  |     with open(path) as handle:
  |         return json.load(handle)
me quits
claude edits app.py
  | run(everything)
and settings.py
  claude | import json as json_module
  me     | def load_settings(path):
  me     |     with open(path) as handle:
  me     |         return json.load(handle)
blame app.py
  claude | run(everything)

== A long text that enters in one piece and nobody explains is nobody's
me types app.py
  | import sys
me pastes app.py
  me | import sys
  ?  | def parse_everything(argument_vector):
  ?  |     return [argument.strip() for argument in argument_vector]

== The whole file sent anew with one small change is one small change
claude edits app.py
  | def area(w, h):
  |     return w * h
me replaces app.py
  claude | def area(w, h):
  claude |     return w * h
  me     | x = 1

== An agent edits a file that is open in the editor
me types app.py
  | def greet(name):
  |     print(name)
claude edits app.py
  | def greet(name):
  |     name = name.strip().title()
  |     print(name)
me types app.py
  me     | def greet(name):
  claude |     name = name.strip().title()
  me     |     print(name)
  me     | greet("x")

== An agent edits while no editor runs
me types app.py
  | def greet(name):
  |     print(name)
me quits
claude edits app.py
  | def greet(name):
  |     name = name.strip().title()
  |     print(name)
me types app.py
  me     | def greet(name):
  claude |     name = name.strip().title()
  me     |     print(name)
  me     | greet("x")

== Two sessions on one file each keep their own
claude edits app.py
  | def encode(data):
  |     return base64.b64encode(data)
codex edits app.py
  | def encode(data):
  |     return base64.b64encode(data)
  | def decode(text):
  |     return base64.b64decode(text)
claude-2 edits app.py
  claude-2 | import base64
  claude   | def encode(data):
  claude   |     return base64.b64encode(data)
  codex    | def decode(text):
  codex    |     return base64.b64decode(text)

== What was written while nothing of ours ran is nobody's
someone writes app.py
  ? | def strange():
  ? |     return 42

== What an agent finds there is not the agent's
someone writes app.py
  | def strange():
  |     return 42
claude edits app.py
  ?      | def strange():
  claude |     log("called")
  ?      |     return 42

== What others wrote between two edits of an agent is nobody's
claude edits app.py
  | def known():
  |     return 1
someone writes app.py
  | def known():
  |     return 1
  | def smuggled():
  |     return 2
claude edits app.py
  claude | def known():
  claude |     return 1
  ?      | def smuggled():
  ?      |     return 2
  claude | print(known())

== A block that an agent copies is the person's where it was and the agent's where it is new
me types app.py
  | def first(values):
  |     total = sum(values)
  |     return total / len(values)
me quits
claude edits app.py
  me     | def first(values):
  me     |     total = sum(values)
  me     |     return total / len(values)
         |
  claude | def second(values):
  claude |     total = sum(values)
  claude |     return total / len(values)

== What another program writes into an open file is nobody's
me types app.py
  | import sys
someone writes app.py
  | import sys
  | SMUGGLED = True
me types app.py
  me | import sys
  ?  | SMUGGLED = True
  me | print(sys.argv)

== A command that an agent runs writes as the agent
me types app.py
  | version = "1.0"
  | name = "tool"
me quits
claude runs "printf 'license = \"MIT\"\n' >> app.py"
blame app.py
  me     | version = "1.0"
  me     | name = "tool"
  claude | license = "MIT"

== An agent's second of two equal lines is the agent's
me types app.py
  | retry()
  | finish()
claude edits app.py
  me     | retry()
  me     | finish()
  claude | retry()

== Blank lines belong to nobody's surprise
claude edits app.py
  | def one():
  |     return 1
  |
  |
  | def two():
  |     return 2
me types app.py
  claude | def one():
  claude |     return 1
         |
  me     | ONE = one()
         |
  claude | def two():
  claude |     return 2

== A file closed and opened again has the authors it had
claude edits app.py
  | def area(w, h):
  |     return w * h
me types app.py
  | def area(w, h):
  |     return 2 * w * h
me closes app.py
me opens app.py
me types app.py
  claude    | def area(w, h):
  claude>me |     return 2 * w * h
  me        | done = True

== Letters outside ASCII are counted right
claude edits app.py
  | gruß = "žluťoučký 🦀 kůň"
  | menu = ["早餐", "午餐"]
me types app.py
  claude>me | gruß = "žluťoučký 🦀🦀 kůň"
  claude    | menu = ["早餐", "午餐"]
  me        | ende = "ß"
