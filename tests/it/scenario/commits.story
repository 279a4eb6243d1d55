# Commits, staging, branches, names.

== A commit changes nobody's lines
claude edits app.py
  | def area(w, h):
  |     return w * h
me types app.py
  | def area(w, h):
  |     return w * h
  | print(area(2, 3))
git add -A
git commit -qm first
blame app.py
  claude | def area(w, h):
  claude |     return w * h
  me     | print(area(2, 3))
blame app.py at HEAD
  claude | def area(w, h):
  claude |     return w * h
  me     | print(area(2, 3))

== An older revision has the authors it had then
claude edits app.py
  | alpha = compute_alpha()
git add -A
git commit -qm one
me types app.py
  | alpha = compute_alpha()
  | beta = 2
git commit -qam two
codex edits app.py
  | gamma = compute_gamma()
git commit -qam three
blame app.py at HEAD
  codex | gamma = compute_gamma()
blame app.py at HEAD~1
  claude | alpha = compute_alpha()
  me     | beta = 2
blame app.py at HEAD~2
  claude | alpha = compute_alpha()

== Before the first commit the work tree has its authors all the same
me types app.py
  | import os
codex edits app.py
  me    | import os
  codex | print(os.getcwd())

== Staging by hunks commits each hunk with its author
me types app.py
  | first = 1
  | a = 1
  | b = 2
  | c = 3
  | d = 4
  | e = 5
  | f = 6
  | g = 7
  | last = 9
git add -A
git commit -qm base
claude edits app.py
  | initialise_everything(now)
  | a = 1
  | b = 2
  | c = 3
  | d = 4
  | e = 5
  | f = 6
  | g = 7
  | last = 9
me types app.py
  | initialise_everything(now)
  | a = 1
  | b = 2
  | c = 3
  | d = 4
  | e = 5
  | f = 6
  | g = 7
  | last = 9
  | end = True
git add -p <<n y
git commit -qm "only the end"
blame app.py at HEAD
  me | first = 1
  me | a = 1
  me | b = 2
  me | c = 3
  me | d = 4
  me | e = 5
  me | f = 6
  me | g = 7
  me | last = 9
  me | end = True
git commit -qam "the beginning too"
blame app.py at HEAD
  claude | initialise_everything(now)
  me | a = 1
  me | b = 2
  me | c = 3
  me | d = 4
  me | e = 5
  me | f = 6
  me | g = 7
  me | last = 9
  me | end = True

== Staging by lines commits a text that never was on the disk
claude edits app.py
  | def area(w, h):
  |     return w * h
git add -A
git commit -qm base
codex edits app.py
  | def area(w, h):
  |     check_positive(w, h)
  |     return w * h
me types app.py
  | def area(w, h):
  |     check_positive(w, h)
  |     return w * h
  | print(area(2, 3))
me runs "sed 2d app.py | git hash-object -w --stdin | xargs -I@ git update-index --cacheinfo 100644,@,app.py"
git commit -qm "mine only"
blame app.py at HEAD
  claude | def area(w, h):
  claude |     return w * h
  me     | print(area(2, 3))
git commit -qam rest
blame app.py at HEAD
  claude | def area(w, h):
  codex  |     check_positive(w, h)
  claude |     return w * h
  me     | print(area(2, 3))

== A patch applied to the index alone has its author
me types app.py
  | one = 1
  | two = 2
git add -A
git commit -qm base
claude edits app.py
  | one = 1
  | two = 2
  | three = compute_the_third(one, two)
me runs "git diff | git apply --cached"
git commit -qm patch
blame app.py at HEAD
  me     | one = 1
  me     | two = 2
  claude | three = compute_the_third(one, two)

== An amended commit has the lines of both
claude edits app.py
  | def area(w, h):
  |     return w * h
git add -A
git commit -qm one
me types app.py
  | def area(w, h):
  |     return w * h
  | x = area(1, 2)
git commit -qa --amend --no-edit
blame app.py at HEAD
  claude | def area(w, h):
  claude |     return w * h
  me     | x = area(1, 2)

== A new message alone changes no author
claude edits app.py
  | def area(w, h):
  |     return w * h
git add -A
git commit -qm one
git commit -q --amend -m "better said"
blame app.py at HEAD
  claude | def area(w, h):
  claude |     return w * h

== A merge has the lines of both sides
me types app.py
  | head = 0
  | a = 1
  | b = 2
  | c = 3
  | tail = 9
git add -A
git commit -qm base
git switch -qc side
claude edits app.py
  | compute_head_of(everything)
  | a = 1
  | b = 2
  | c = 3
  | tail = 9
git commit -qam side
git switch -q main
me types app.py
  | head = 0
  | a = 1
  | b = 2
  | c = 3
  | tail = 9
  | more = True
git commit -qam mine
git merge -q --no-edit side
blame app.py at HEAD
  claude    | compute_head_of(everything)
  me        | a = 1
  me        | b = 2
  me        | c = 3
  me        | tail = 9
  me        | more = True

== A conflict that a person resolves keeps the line each side brought
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
me quits
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

== A conflict that an agent resolves is the agent's only where it wrote
me types app.py
  | value = 0
git add -A
git commit -qm base
git switch -qc side
me types app.py
  | limit = 10
git commit -qam side
git switch -q main
me types app.py
  | bound = 20
git commit -qam mine
me quits
git! merge side
claude edits app.py
  | bound = 20
  | limit = 10
  | assert bound > limit, describe(bound, limit)
git add -A
git commit -qm merged
blame app.py at HEAD
  me     | bound = 20
  me     | limit = 10
  claude | assert bound > limit, describe(bound, limit)

== A fast-forward brings the authors of the branch
me types app.py
  | base = 0
git add -A
git commit -qm base
git switch -qc side
claude edits app.py
  | base = 0
  | grown = grow(base, factor=3)
git commit -qam side
git switch -q main
blame app.py
  me | base = 0
git merge -q --ff-only side
blame app.py
  me     | base = 0
  claude | grown = grow(base, factor=3)

== Another branch has its own authors, and coming back nothing is lost
claude edits app.py
  | def area(w, h):
  |     return w * h
git add -A
git commit -qm base
git switch -qc side
me types app.py
  | x = 1
git commit -qam side
git switch -q main
blame app.py
  claude | def area(w, h):
  claude |     return w * h
git switch -q side
blame app.py
  me | x = 1

== A file that git moves keeps its authors
claude edits app.py
  | def area(w, h):
  |     return w * h
me types app.py
  | def area(w, h):
  |     return w * h
  | print(area(2, 3))
git add -A
git commit -qm one
git mv app.py geometry.py
blame geometry.py
  claude | def area(w, h):
  claude |     return w * h
  me     | print(area(2, 3))
git commit -qm moved
blame geometry.py at HEAD
  claude | def area(w, h):
  claude |     return w * h
  me     | print(area(2, 3))

== A file that is moved plainly keeps its authors
claude edits app.py
  | def area(w, h):
  |     return w * h
  | def volume(w, h, d):
  |     return area(w, h) * d
git add -A
git commit -qm one
me runs "mkdir lib && mv app.py lib/geometry.py"
git add -A
git commit -qm moved
blame lib/geometry.py at HEAD
  claude | def area(w, h):
  claude |     return w * h
  claude | def volume(w, h, d):
  claude |     return area(w, h) * d

== A file that is moved and changed in one commit has the authors of both
claude edits app.py
  | def area(w, h):
  |     return w * h
  | def volume(w, h, d):
  |     return area(w, h) * d
git add -A
git commit -qm one
git mv app.py geometry.py
me types geometry.py
  | def area(w, h):
  |     return w * h
  | def volume(w, h, d):
  |     return area(w, h) * d
  | UNIT = 1
git commit -qam moved
blame geometry.py at HEAD
  claude | def area(w, h):
  claude |     return w * h
  claude | def volume(w, h, d):
  claude |     return area(w, h) * d
  me     | UNIT = 1

== A commit of what nobody saw is nobody's, and stays so
someone writes app.py
  | def strange():
  |     return 42
git add -A
git commit -qm strange
claude edits app.py
  | def strange():
  |     return 42
  | print(strange())
git commit -qam more
blame app.py at HEAD
  ?      | def strange():
  ?      |     return 42
  claude | print(strange())

== What git restores has the author it had
claude edits app.py
  | def area(w, h):
  |     return w * h
git add -A
git commit -qm one
me types app.py
  | x = 1
git restore app.py
blame app.py
  claude | def area(w, h):
  claude |     return w * h

== A deleted file that comes back has its authors
claude edits app.py
  | def area(w, h):
  |     return w * h
git add -A
git commit -qm one
git rm -q app.py
git commit -qm gone
git checkout -q HEAD~1 -- app.py
blame app.py
  claude | def area(w, h):
  claude |     return w * h
git commit -qm back
blame app.py at HEAD
  claude | def area(w, h):
  claude |     return w * h

== A commit without a branch has its authors
claude edits app.py
  | def area(w, h):
  |     return w * h
git add -A
git commit -qm one
git checkout -q --detach
me types app.py
  | def area(w, h):
  |     return w * h
  | x = 2
git commit -qam two
blame app.py at HEAD
  claude | def area(w, h):
  claude |     return w * h
  me     | x = 2

== Work in a linked work tree has its authors there and after the merge
me types app.py
  | base = 0
git add -A
git commit -qm base
me quits
git worktree add -q -b side ../linked
in linked
claude edits app.py
  me     | base = 0
  claude | grown = grow(base, factor=3)
me types app.py
  | base = 0
  | grown = grow(base, factor=3)
  | x = 1
git commit -qam side
blame app.py at HEAD
  me     | base = 0
  claude | grown = grow(base, factor=3)
  me     | x = 1
in app
git merge -q --ff-only side
blame app.py
  me     | base = 0
  claude | grown = grow(base, factor=3)
  me     | x = 1

== An edit that is not committed shows in the work tree alone
claude edits app.py
  | def area(w, h):
  |     return w * h
git add -A
git commit -qm one
me types app.py
  claude | def area(w, h):
  claude |     return w * h
  me     | x = 1
blame app.py at HEAD
  claude | def area(w, h):
  claude |     return w * h
