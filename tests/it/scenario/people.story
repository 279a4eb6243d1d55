# An AI's server behind the tap, another editor's word, and a second person with a device of their own.

== What a person takes of a tapped server is the tool's
me types app.py
  | def mean(values):
ghost completes app.py tapped
  me    | def mean(values):
  ghost |     total = sum(values)
  ghost |     return total / len(values)

== A tapped completion that a person edits and commits is of both where both wrote
me types app.py
  | def mean(values):
ghost completes app.py tapped
  | def mean(values):
  |     total = sum(values)
  |     return total / len(values)
me types app.py
  me       | def mean(values):
  me       |     check(values)
  ghost    |     total = sum(values)
  ghost>me |     return 1.0 * total / len(values)
git add -A
git commit -qm mean
blame app.py at HEAD
  me       | def mean(values):
  me       |     check(values)
  ghost    |     total = sum(values)
  ghost>me |     return 1.0 * total / len(values)

== Only the hunk that a tapped server wrote is committed, and it is the tool's
me types app.py
  | def mean(values):
  |     pass
  | a = 1
  | b = 2
  | c = 3
  | d = 4
  | e = 5
  | f = 6
  | g = 7
git add -A
git commit -qm base
ghost completes app.py tapped
  | def mean(values):
  |     return sum(values) / len(values)
  | a = 1
  | b = 2
  | c = 3
  | d = 4
  | e = 5
  | f = 6
  | g = 7
me types app.py
  | def mean(values):
  |     return sum(values) / len(values)
  | a = 1
  | b = 2
  | c = 3
  | d = 4
  | e = 5
  | f = 6
  | g = 7
  | print(mean([1, 2]))
git add -p <<y n
git commit -qm mean
blame app.py at HEAD
  me    | def mean(values):
  ghost |     return sum(values) / len(values)
  me    | a = 1
  me    | b = 2
  me    | c = 3
  me    | d = 4
  me    | e = 5
  me    | f = 6
  me    | g = 7

== What a tapped server offered in vain belongs to who types it
me types app.py
  | def mean(values):
ghost offers app.py tapped
  | def mean(values):
  |     return sum(values) / len(values)
me types app.py
  me | def mean(values):
  me |     return sum(values) / len(values)
git add -A
git commit -qm mean
blame app.py at HEAD
  me | def mean(values):
  me |     return sum(values) / len(values)

== A tapped completion that is undone and done again is the tool's
me types app.py
  | def mean(values):
ghost completes app.py tapped
  | def mean(values):
  |     return sum(values) / len(values)
me undoes app.py
  me | def mean(values):
me redoes app.py
  me    | def mean(values):
  ghost |     return sum(values) / len(values)

== A tapped completion between lines that end with CRLF, with letters outside ASCII
me types app.py crlf
  | größe = [1, 2]
  | ende = "🦀"
ghost completes app.py tapped crlf
  me    | größe = [1, 2]
  ghost | länge = messen(größe, "早餐")
  me    | ende = "🦀"
me types app.py crlf
  me       | größe = [1, 2]
  ghost>me | länge = messen(größe, "🦀早餐")
  me       | ende = "🦀"

== What a person's other editor says they wrote is theirs
claude edits app.py
  | def area(w, h):
  |     return w * h
me edits app.py elsewhere
  claude | def area(w, h):
  claude |     return w * h
  me     | print(area(2, 3))
git add -A
git commit -qm area
blame app.py at HEAD
  claude | def area(w, h):
  claude |     return w * h
  me     | print(area(2, 3))

== What a person's other editor says they changed in an AI's line is of both
claude edits app.py
  | def area(w, h):
  |     return w * h
me edits app.py elsewhere
  claude    | def area(w, h):
  claude>me |     return 2 * w * h

== A person's other editor speaks while this one has the file open
me types app.py
  | first = 1
me edits app.py elsewhere
  | first = 1
  | second = 2
me types app.py
  me | first = 1
  me | second = 2
  me | third = 3

== Two people in one work tree each know what they saw and no more
me types app.py
  | mine = first_of(values)
as you
me types app.py
  ?  | mine = first_of(values)
  me | yours = second_of(values)
as me
me types app.py
  me | mine = first_of(values)
  ?  | yours = second_of(values)
  me | again = third_of(values)
as you
blame app.py
  ?  | mine = first_of(values)
  me | yours = second_of(values)
  ?  | again = third_of(values)

== Two people commit in turn, and no device says more than it saw
me types app.py
  | mine = first_of(values)
git add -A
git commit -qm mine
me quits
as you
claude edits app.py
  | mine = first_of(values)
  | made = second_of(values)
git commit -qam yours
blame app.py at HEAD
  ?      | mine = first_of(values)
  claude | made = second_of(values)
as me
blame app.py at HEAD
  me | mine = first_of(values)
  ?  | made = second_of(values)

== In another person's clone only what they saw has an author
me types app.py
  | mine = first_of(values)
git add -A
git commit -qm mine
as you
git clone -q . ../theirs
in theirs
me types app.py
  ?  | mine = first_of(values)
  me | yours = second_of(values)
git commit -qam yours
blame app.py at HEAD
  ?  | mine = first_of(values)
  me | yours = second_of(values)
as me
in app
git pull -q --ff-only ../theirs main
blame app.py at HEAD
  me | mine = first_of(values)
  ?  | yours = second_of(values)

== Another person's line that equals what an AI wrote here before is nobody's
claude edits app.py
  | made = compute_everything(at, once)
git add -A
git commit -qm made
me types app.py
  | x = 1
git commit -qam mine
as you
me types app.py
  | x = 1
  | done = True
git commit -qam yours
as me
blame app.py at HEAD
  me | x = 1
  ?  | done = True
