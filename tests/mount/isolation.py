#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""isolation.py MOUNT QUESTIONS - two agents with private documents that contradict each other, and random questions, with and without
filters, put to each and to rag/query: whatever is asked, nobody is shown what belongs to the other. Prints how many answers showed
the asker's own and how many were looked at; exit status 1 with the first answer that shows too much."""
import json
import os
import random
import sys

mount, questions = sys.argv[1], int(sys.argv[2])
random.seed(20261125)
TOPICS = ["reactor", "vault", "payroll", "merger", "antenna", "vaccine", "harbour", "satellite"]
WORDS = ["code", "password", "limit", "owner", "schedule", "pressure", "budget", "route", "contact", "is", "the", "what", "of", "who", "now"]
MARK = {"alice": "amberzeta", "bob": "blueomega"}


def ask(path, text):
    fd = os.open(os.path.join(mount, path), os.O_RDWR)
    try:
        os.write(fd, text.encode())
        parts = []
        while True:
            part = os.read(fd, 1 << 20)
            if not part:
                return b"".join(parts).decode()
            parts.append(part)
    finally:
        os.close(fd)


def fill(agent):
    mark = MARK[agent]
    for topic in TOPICS:
        with open(f"{mount}/agents/{agent}/knowledge/{topic}.md", "w") as f:
            f.write(f"# {topic}\n\nThe {topic} code is {mark}-{topic}. The owner of the {topic} is {mark}.\n")
        with open(f"{mount}/agents/{agent}/memory/facts", "w") as f:
            f.write(f"the {topic} password is {mark}-fact-{topic}\n")
        with open(f"{mount}/agents/{agent}/memory/conversation", "w") as f:
            f.write(f"user asked for the {topic} budget, {mark} answered\n")


def question():
    words = random.sample(TOPICS, random.randint(1, 2)) + random.sample(WORDS, random.randint(1, 5))
    if random.random() < 0.2:
        words.append(random.choice(list(MARK.values())))
    random.shuffle(words)
    text = " ".join(words)
    if random.random() < 0.5:
        return text
    asked = {"query": text}
    if random.random() < 0.5:
        asked["source"] = random.choice(["*", "*.md", "agents/*", "agents/alice/*", "agents/bob/*", "agents/*/memory/*", "shared*"])
    if random.random() < 0.3:
        asked["agent"] = random.choice(["alice", "bob", "nobody"])
    if random.random() < 0.3:
        asked["collection"] = random.choice(["agents", "agents/alice", "agents/bob", "notes", ""])
    if random.random() < 0.3:
        asked["after"] = "2020-01-01"
    if random.random() < 0.3:
        asked["relevance_threshold"] = random.choice([0, 0.3, 1])
    if random.random() < 0.3:
        asked["max_results"] = random.randint(1, 20)
    return json.dumps(asked)


for agent in MARK:
    fill(agent)
for topic in TOPICS:
    with open(f"{mount}/rag/docs/{topic}.txt", "w") as f:
        f.write(f"Everybody may know that there is a {topic}. Its code and password are private.\n")

own = looked = 0
for n in range(questions):
    asker = random.choice(["alice", "bob", None])
    text = question()
    where = (f"agents/{asker}/" if asker else "rag/") + random.choice(["query", "query.json"])
    answer = ask(where, text)
    if where.endswith("json"):  # the question is repeated in it
        told = json.loads(answer)
        answer = told["answer"] + json.dumps(told["citations"])
    for agent, mark in MARK.items():
        if agent != asker and (mark in answer or f"agents/{agent}" in answer):
            sys.exit(f"{where} <- {text}\nshows what is {agent}'s:\n{answer}")
    looked += 1
    own += asker is not None and MARK[asker] in answer
print(f"{own} of {looked} answers showed what is the asker's own")
sys.exit(0 if own > looked // 10 else 2)
