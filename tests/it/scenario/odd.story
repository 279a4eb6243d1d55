# Places and texts out of the ordinary.

== A path with spaces, quotes and a line break is a path
claude edits "a \"dir\"/it's\nodd.py"
  claude | print(1)
git add -A
git commit -qm odd
blame "a \"dir\"/it's\nodd.py" at HEAD
  claude | print(1)

== A path in another script is a path
codex edits "příliš/早餐.py"
  | print(compute_breakfast())
me types "příliš/早餐.py"
  codex | print(compute_breakfast())
  me    | x = 1
git add -A
git commit -qm other
blame "příliš/早餐.py" at HEAD
  codex | print(compute_breakfast())
  me    | x = 1

== A text with CRLF is lines like any other
claude edits app.py crlf
  | first = load(path)
  | second = store(path)
me types app.py crlf
  claude | first = load(path)
  me     | x = 1
  claude | second = store(path)

== Other ends of lines are nobody's edit
claude edits app.py
  | first = load(path)
  | second = store(path)
me types app.py
  | first = load(path)
  | x = 1
  | second = store(path)
me quits
someone writes app.py crlf
  claude | first = load(path)
  me     | x = 1
  claude | second = store(path)

== A last line without its end is a line, and what follows it is its own
claude edits app.py unterminated
  claude | return value
me types app.py
  claude | return value
  me     | x = 1

== A file that was emptied and filled again belongs to who filled it
claude edits app.py
  | first = load(path)
me types app.py
me types app.py
  me | y = 2

== A text that is not UTF-8 has no author
claude edits app.py latin1
  ? | name = "Jos�"
  ? | print(name)

== A file outside of any repository has its authors too
me runs "mkdir ../outside"
in outside
claude edits notes.py
  | def area(w, h):
  |     return w * h
me types notes.py
  claude | def area(w, h):
  claude |     return w * h
  me     | x = 1

== A file that git ignores has its authors in the work tree
someone writes .gitignore
  | scratch.py
claude edits scratch.py
  claude | print(compute_scratch())

== A file that appears under an old name is a new file
claude edits app.py
  | def area(w, h):
  |     return w * h
git add -A
git commit -qm one
git rm -q app.py
git commit -qm gone
me types app.py
  me | x = 1
