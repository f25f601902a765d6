"""Makes chat_templates.json: what Jinja 2 renders of chat templates, with the settings of Hugging Face
transformers (apply_chat_template: trim_blocks, lstrip_blocks, loop controls, a sandbox).

    python3 chat_templates.py > chat_templates.json        (jinja2 3.1.6)

The templates have the structure of the families' own ones (ChatML with SmolLM2's and Qwen2's default system
prompts, Llama 2 and 3, Mistral, Zephyr), and some say things that are easy to get wrong.
"""
import json

from jinja2.exceptions import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

TEMPLATES = {
    "chatml-smollm2": "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "chatml-qwen2": """{%- if tools %}
    {{- raise_exception('no tools here') }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
""",
    "llama2": "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    "llama3": "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
    "mistral": """{{- bos_token }}
{%- set ns = namespace(count=0) %}
{%- for message in messages %}
    {%- if message["role"] == "user" %}
        {%- set ns.count = ns.count + 1 %}
        {{- "[INST] " + message["content"] + " [/INST]" }}
    {%- elif message.role == 'assistant' %}
        {{- " " + message["content"] | trim ~ eos_token }}
    {%- else %}
        {{- raise_exception("Only user and assistant roles are supported!") }}
    {%- endif %}
{%- endfor %}
""",
    "zephyr": """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\n'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}""",
    "corners": """{# a comment #}
  {% if x is not defined and y|default('d') == "d" %}
A{{ '\\'q\\'' }} {{ 7 // 2 }} {{ 7 % 3 }} {{ -1 }} {{ true }} {{ none }} {{ undefined_name }}|
  {% endif %}
{{ messages | length }} {{ messages[-1].content[1:3] }} {{ messages[0]['content'].split('e') | join('-') }}
{% for m in messages if m.role in ['user', "assistant"] %}{% if loop.index > 2 %}{% break %}{% endif %}
{{ loop.index }}/{{ loop.length }}{{ ',' if not loop.last }} {{ m['role'].startswith('u') }}
{%- endfor +%}
{% for c in [] %}x{% else %}empty{% endfor %} { not a tag } {{ {'a': 1}['a'] + 2 * 3 }} {{ 'b' ~ 1 }} {{ "x" "y" }}
{{ (messages[0].content ~ '  ').rstrip() }} {{ messages is iterable and messages is not string }} {{ 'Ä é'[::-1] }}
""",
}
CONVERSATIONS = [
    [("user", "Hello, who are you?")],
    [("system", "Be brief."), ("user", "One \n\n two ")],
    [("user", " Q: 1+1?\nA:"), ("assistant", " 2 "), ("user", "Ünï <|im_end|> code")],
]


def refuse(message):
    raise TemplateError(message)


environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
environment.globals["raise_exception"] = refuse
rows = []
for name, text in TEMPLATES.items():
    cases = []
    for turns in CONVERSATIONS:
        for add in (False, True):
            messages = [{"role": role, "content": content} for role, content in turns]
            try:
                out = environment.from_string(text).render(messages=messages, add_generation_prompt=add, tools=None,
                                                           documents=None, bos_token="<s>", eos_token="</s>")
            except TemplateError:
                out = None
            cases.append({"messages": messages, "add_generation_prompt": add, "text": out})
    rows.append({"name": name, "template": text, "cases": cases})
print(json.dumps(rows, ensure_ascii=False, indent=1))
