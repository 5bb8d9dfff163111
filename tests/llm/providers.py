"""The servers that people have, emulated: what each of them takes, and its error bodies as documented or seen in its issue tracker.

Each is a function from `Seen` to `Act` that answers honestly (`tests/demo.py`) where it does not refuse.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from tests.demo import honest_parts
from tests.fake_server import Act, Seen, completion, status

Server = Callable[[Seen], Act]
_IN_WORDS = "JSON Schema:\n"
# https://docs.mistral.ai/api/#tag/chat: the body's fields that concern us
_MISTRAL = {
    "model",
    "messages",
    "temperature",
    "max_tokens",
    "response_format",
    "stream",
    "n",
    "prompt_mode",
    "safe_prompt",
    "stop",
    "seed",
}


def schema_of(seen: Seen) -> Any:
    """The schema that a request states, as a parameter or in words; None without one."""
    form = seen.body.get("response_format") or {}
    if form.get("type") == "json_schema":
        return form["json_schema"]["schema"]
    _, found, stated = seen.text.rpartition(_IN_WORDS)
    return json.loads(stated) if found else None


def written(seen: Seen) -> str:
    """The honest answer as text; words without a schema if none was stated."""
    schema = schema_of(seen)
    if schema is None:
        return "The page is about a park."
    asked = replace(seen, body={**seen.body, "response_format": {"json_schema": {"schema": schema}}})
    return json.dumps(honest_parts(asked))


def usage(seen: Seen, text: str, **more: Any) -> dict[str, Any]:
    given = max(1, len(seen.text) // 4)
    return {"prompt_tokens": given, "completion_tokens": len(text) // 4, "total_tokens": given + len(text) // 4, **more}


def answer(seen: Seen, text: str | None = None, **message: Any) -> Act:
    """An answer in OpenAI's shape; `message` are further fields of the message."""
    content = written(seen) if text is None else text
    tree = completion(content, usage=usage(seen, content))
    tree["choices"][0]["message"] |= message
    return Act(body=tree, name="answer")


def streamed(seen: Seen, text: str, thoughts: str = "", size: int = 40) -> Act:
    """The same as server-sent events; usage only if `stream_options` asks for it."""
    pieces = [{"reasoning_content": thoughts}] if thoughts else []
    pieces += [{"content": text[place : place + size]} for place in range(0, len(text), size)]
    choices: list[dict[str, Any]] = [{"index": 0, "delta": piece, "finish_reason": None} for piece in [{"role": "assistant"}, *pieces]]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    chunks: list[dict[str, Any]] = [{"id": "1", "object": "chat.completion.chunk", "choices": [choice]} for choice in choices]
    if (seen.body.get("stream_options") or {}).get("include_usage"):
        chunks.append({"id": "1", "object": "chat.completion.chunk", "choices": [], "usage": usage(seen, text)})
    events = [": keep-alive\n\n", *(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks), "data: [DONE]\n\n"]
    return Act(body="".join(events).encode(), headers={"content-type": "text/event-stream"}, name="stream")


def _vllm_error(message: str, code: int = 400) -> Act:
    return Act(code, {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": code}, name="refused")


def _ceiling(seen: Seen) -> int:
    return int(seen.body.get("max_completion_tokens") or seen.body.get("max_tokens") or 0)


def _roles(seen: Seen) -> list[str]:
    return [message["role"] for message in seen.body["messages"]]


def _in_a_row(seen: Seen) -> bool:
    roles = _roles(seen)
    return any(one == other for one, other in pairwise(roles))


def openai(seen: Seen) -> Act:
    if "max_tokens" in seen.body:
        said = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        return status(400, said, kind="invalid_request_error", param="max_tokens", code_word="unsupported_parameter")
    if seen.body.get("temperature", 1) != 1:
        said = f"Unsupported value: 'temperature' does not support {seen.body['temperature']} with this model. Only the default (1) value is supported."
        return status(400, said, kind="invalid_request_error", param="temperature", code_word="unsupported_value")
    return answer(seen)


def azure(seen: Seen) -> Act:
    if seen.path != "/openai/v1/chat/completions":
        return Act(404, {"error": {"code": "404", "message": "Resource not found"}}, name="refused")
    return _azure(seen)


def azure_classic(seen: Seen) -> Act:
    path, _, query = seen.path.partition("?")
    if query != "api-version=2024-10-21":
        return Act(404, {"error": {"code": "404", "message": "Resource not found"}}, name="refused")
    if path != "/openai/deployments/my%20park/chat/completions":
        said = "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please wait a moment."
        return Act(404, {"error": {"code": "DeploymentNotFound", "message": said}}, name="refused")
    return _azure(seen)


def _azure(seen: Seen) -> Act:
    if seen.headers.get("api-key") != "azure-key-0123456789abcdef" or "authorization" in seen.headers:
        said = "Access denied due to invalid subscription key or wrong API endpoint."
        return Act(401, {"error": {"code": "401", "message": said}}, name="refused")
    if "Park 1" in seen.text:
        said = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
        inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"violence": {"filtered": True, "severity": "medium"}}}
        error = {"message": said, "type": None, "param": "prompt", "code": "content_filter", "status": 400, "innererror": inner}
        return Act(400, {"error": error}, name="refused")
    return openai(seen)


def openrouter(seen: Seen) -> Act:
    if seen.body.get("provider") != {"require_parameters": True} or seen.headers.get("x-title") != "enrich":
        return answer(seen, "A server that ignores the schema.")
    if "Park 1" in seen.text:
        metadata = {
            "reasons": ["violence"],
            "flagged_input": "wake of one row",
            "provider_name": "OpenAI",
            "model_slug": "openai/gpt-6-luna",
        }
        return Act(403, {"error": {"code": 403, "message": "Input was flagged", "metadata": metadata}}, name="refused")
    if "Park 2" in seen.text and seen.number % 2 == 0:
        return Act(
            200, {"error": {"code": 502, "message": "Provider returned error", "metadata": {"raw": "upstream", "provider_name": "X"}}}
        )
    if "Park 3" in seen.text and seen.number % 2 == 0:
        error = {"code": 502, "message": "Upstream idle timeout exceeded"}
        choice = {"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "error", "error": error}
        return Act(200, {"id": "gen-1", "choices": [choice], "usage": {"prompt_tokens": 0, "completion_tokens": 0}})
    return answer(seen, reasoning="Thinking about parks.")


def openrouter_without_route(seen: Seen) -> Act:
    if "provider" in seen.body:
        said = "No endpoints found that can handle the requested parameters. To learn more about provider routing, visit: https://openrouter.ai/docs"
        return Act(404, {"error": {"message": said, "code": 404}}, name="refused")
    return answer(seen)


def ollama(seen: Seen) -> Act:
    act = answer(seen)
    act.body["usage"]["prompt_tokens"] = min(512, act.body["usage"]["prompt_tokens"])
    return act


def lmstudio(seen: Seen) -> Act:
    if (seen.body.get("response_format") or {}).get("type") == "json_object":
        return Act(400, {"error": "'response_format.type' must be 'json_schema' or 'text'"}, name="refused")
    if len(seen.text) // 4 > 4096:
        said = (
            f"The number of tokens to keep from the initial prompt is greater than the context length (n_keep: {len(seen.text) // 4}>= n_ctx: 4096). "
            "Try to load the model with a larger context length, or provide a shorter input."
        )
        return Act(400, {"error": said}, name="refused")
    return answer(seen)


def llamacpp(seen: Seen) -> Act:
    if _in_a_row(seen):
        said = (
            "\n------------\nWhile executing CallExpression at line 19, column 27 in source:\n...% 2 == 0) -%}↵        "
            '{{ raise_exception("Conversation roles must alternate user...\n                                           ^\n'
            "Error: Jinja Exception: Conversation roles must alternate user/assistant/user/assistant/..."
        )
        return Act(500, {"error": {"code": 500, "message": said, "type": "server_error"}}, name="refused")
    if len(seen.text) // 4 > 4096:
        tokens = len(seen.text) // 4
        said = f"request ({tokens} tokens) exceeds the available context size (4096 tokens), try increasing it"
        error = {"code": 400, "message": said, "type": "exceed_context_size_error", "n_prompt_tokens": tokens, "n_ctx": 4096}
        return Act(400, {"error": error}, name="refused")
    return answer(seen)


def vllm(seen: Seen) -> Act:
    if "system" in _roles(seen):
        return _vllm_error("System role not supported")
    if _in_a_row(seen):
        return _vllm_error("Conversation roles must alternate user/assistant/user/assistant/...")
    wanted, prompt = _ceiling(seen), len(seen.text) // 4
    if wanted > 8192:
        return _vllm_error(f"max_tokens={wanted} cannot be greater than max_model_len=8192. Please request fewer output tokens.")
    if prompt + wanted > 8192:
        said = (
            f"'max_tokens' or 'max_completion_tokens' is too large: {wanted}. This model's maximum context length is 8192 tokens and your "
        )
        return _vllm_error(f"{said}request has {prompt} input tokens ({wanted} > 8192 - {prompt}).")
    return answer(seen, "", reasoning_content=written(seen))


def transformers(seen: Seen) -> Act:
    """Streams only, and ignores `response_format`."""
    if not seen.body.get("stream"):
        return Act(422, {"detail": "This server only supports streaming: set stream=true"}, name="refused")
    _, in_words, _ = seen.text.rpartition(_IN_WORDS)
    text = written(seen) if in_words else "A page about a park, in prose."
    return streamed(seen, f"<think>\nI should answer {{in JSON}}.\n</think>\n\n```json\n{text}\n```" if in_words else text)


def llama_cpp_python(seen: Seen) -> Act:
    if (seen.body.get("response_format") or {}).get("type") == "json_schema":
        said = (
            "[{'type': 'literal_error', 'loc': ('body', 'response_format', 'type'), 'msg': \"Input should be 'text' or 'json_object'\", "
            "'input': 'json_schema', 'ctx': {'expected': \"'text' or 'json_object'\"}}]"
        )
        return Act(500, {"error": {"message": said, "type": "internal_server_error", "param": None, "code": None}}, name="refused")
    return answer(seen)


def groq(seen: Seen) -> Act:
    if (seen.body.get("response_format") or {}).get("type") == "json_schema":
        said = "This model does not support response format `json_schema`. See supported models at https://console.groq.com/docs/structured-outputs"
        return Act(400, {"error": {"message": said, "type": "invalid_request_error", "param": "response_format"}}, name="refused")
    if seen.number % 3 == 1:
        said = "Failed to generate JSON. Please adjust your prompt. See 'failed_generation' for more details."
        error = {"message": said, "type": "invalid_request_error", "code": "json_validate_failed", "failed_generation": "{max_tokens"}
        return Act(400, {"error": error}, name="refused")
    return answer(seen)


def together(seen: Seen) -> Act:
    wanted, prompt = _ceiling(seen), len(seen.text) // 4
    if prompt + wanted > 8193:
        given = f"Given: {prompt} `inputs` tokens and {wanted} `max_new_tokens`"
        said = f"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. {given}"
        return Act(422, {"error": {"message": said, "type": "invalid_request_error", "param": "max_tokens", "code": None}}, name="refused")
    return answer(seen, f"Here is the JSON you asked for:\n\n{written(seen)}\n\nShorter?")


def mistral(seen: Seen) -> Act:
    extra = [name for name in seen.body if name not in _MISTRAL]
    if extra:
        detail = [
            {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted", "input": 1} for name in extra[:1]
        ]
        body = {"object": "error", "message": {"detail": detail}, "type": "invalid_request_error", "param": None, "code": None}
        return Act(422, body, name="refused")
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "Parks."}]}, {"type": "text", "text": written(seen)}]
    act = answer(seen)
    act.body["choices"][0]["message"]["content"] = parts
    return act


def litellm(seen: Seen) -> Act:
    if "temperature" in seen.body:
        said = (
            f"litellm.UnsupportedParamsError: gpt-5 models (including gpt-5-codex) don't support temperature={seen.body['temperature']}. Only "
            "temperature=1 is supported. To drop unsupported params set `litellm.drop_params = True`. Received Model Group=park\nAvailable Model "
            "Group Fallbacks=None"
        )
        return Act(400, {"error": {"message": said, "type": "None", "param": None, "code": "400"}}, name="refused")
    return answer(seen)


def qwen_gateway(seen: Seen) -> Act:
    """Models that think are only streamed (DashScope, ModelScope)."""
    if not seen.body.get("stream"):
        said = "parameter.enable_thinking must be set to false for non-streaming calls"
        error = {"code": "invalid_parameter_error", "param": None, "message": said, "type": "invalid_request_error"}
        return Act(400, {"error": error, "request_id": "1"}, name="refused")
    return streamed(seen, written(seen), "Let me think about {parks}.")


def gemini(seen: Seen) -> Act:
    if '"enum":[1,' in json.dumps(seen.body.get("response_format"), separators=(",", ":")):
        said = (
            "Invalid JSON payload received. generation_config.response_schema.properties[insights].items.properties[surprising].enum: only allowed "
            "for STRING type in json_schema"
        )
        return Act(400, {"error": {"code": 400, "message": said, "status": "INVALID_ARGUMENT"}}, name="refused")
    return answer(seen)


# provider → (its server, the path of its base URL, the environment beside the address)
PROVIDERS: Mapping[str, tuple[Server, str, Mapping[str, str]]] = {
    "openai": (openai, "/v1", {}),
    "azure": (azure, "/openai/v1", {"AZURE_OPENAI_API_KEY": "azure-key-0123456789abcdef"}),
    "azure-classic": (
        azure_classic,
        "/openai",
        {
            "AZURE_OPENAI_API_KEY": "azure-key-0123456789abcdef",
            "ENRICH_LLM__MODEL": "my park",
            "ENRICH_LLM__ALIASES": '{"my park"="gpt-6-luna"}',
        },
    ),
    "openrouter": (openrouter, "/api/v1", {"OPENROUTER_API_KEY": "sk-or-v1-0123456789abcdef"}),
    "ollama": (ollama, "/v1", {}),
    "lmstudio": (lmstudio, "/v1", {}),
    "llamacpp": (llamacpp, "/v1", {}),
    "vllm": (vllm, "/v1", {}),
    "transformers": (transformers, "/v1", {}),
    "llama-cpp-python": (llama_cpp_python, "/v1", {}),
    "groq": (groq, "/openai/v1", {"GROQ_API_KEY": "gsk_0123456789abcdefghij"}),
    "together": (together, "/v1", {"TOGETHER_API_KEY": "together-0123456789abcdef"}),
    "mistral": (mistral, "/v1", {"MISTRAL_API_KEY": "mistral-0123456789abcdef"}),
    "litellm": (litellm, "/v1", {}),
}
# Servers without a preset, whose ways are learned.
UNNAMED: Mapping[str, Server] = {
    **{name: server for name, (server, _, _) in PROVIDERS.items() if name not in ("azure", "azure-classic", "openrouter")},
    "a gateway that only streams": qwen_gateway,
    "gemini": gemini,
    "openrouter without a route": openrouter_without_route,
}
