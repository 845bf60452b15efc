-- Shows the protocols PLUMI (UDP, port 3344) and PMI (TCP) in Wireshark, as docs/protocol.md describes them.
--
-- What is one message, its fields and what is wrong with it: PLUMI and PMI, each with its own half of this file. Which
-- answer belongs to which question, which conversation to which location: remembered from packet to packet, on the first
-- pass only, since Wireshark dissects a packet again whenever it is looked at.
--
-- For Lua 5.2 (Wireshark 4.0) to 5.4 (Wireshark 4.4). README.md beside it says how to install it and what to filter by.

-- Installed and given by -X as well, this file is run twice; protocols can be made only once.
local _, known = pcall(Dissector.get, "plumi")
if known then return end

local plumi = Proto("plumi", "PLUMI, who is where")
local pmi = Proto("pmi", "PMI, a conversation")
local pmi_in_tls = Proto("pmi_in_tls", "PMI, an encrypted conversation")
local pmi2 = Proto("pmi2", "PMI, the frames of pmi/2")
local pmi2_in_tls = Proto("pmi2_in_tls", "PMI, an encrypted conversation in pmi/2")
local beside = Proto("plumi_beside", "PLUMI and PMI, what packets without text say")

local NODE_PORT = 3344
local MAX_MESSAGE, MAX_ADDRESS, MAX_NAME = 100, 36, 34
-- What a request for a challenge is padded to.
local MIN_CHALLENGE_REQUEST = 32
-- How long a request is sent again, and how long a node waits for an answer. What comes later is another request.
local REQUEST_SECONDS = 5
-- Of a frame; and of what begins no frame, enough to recognise it.
local HEADER, MAX_TEXT, MAX_SEEN = 3, 99, 16
-- The same of a frame of pmi/2, and what its payloads may have.
local HEADER2, MAX_PAYLOAD, MAX_GREETING, MAX_LINES, MAX_REASON = 4, 16000, 1000, 8000, 1000
-- The first byte of a TLS connection. No frame begins with it.
local TLS_HANDSHAKE = 0x16

-- Text of strangers ---------------------------------------------------------------------------------------------------

-- Ranges that nobody sees, or that move what is beside them: `is_visible` of message-log.
local INVISIBLE = {
    { 0x00, 0x1f }, { 0x7f, 0x9f }, { 0xad, 0xad }, { 0x34f, 0x34f }, { 0x61c, 0x61c }, { 0x115f, 0x1160 },
    { 0x17b4, 0x17b5 }, { 0x180b, 0x180f }, { 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f },
    { 0x2800, 0x2800 }, { 0x3164, 0x3164 }, { 0xfeff, 0xfeff }, { 0xffa0, 0xffa0 }, { 0xfff0, 0xfffb },
    { 0x13430, 0x1343f }, { 0x1bca0, 0x1bca3 }, { 0x1d173, 0x1d17a }, { 0xe0000, 0xe0fff },
}

-- Ranges outside of ASCII without a letter or a digit in them. Not all such characters: a table of all scripts would be
-- longer than this file, so a name with an odd symbol in it may pass here that a node drops.
local NO_LETTERS = {
    { 0x80, 0xa9 }, { 0xab, 0xb1 }, { 0xb4, 0xb4 }, { 0xb6, 0xb8 }, { 0xbb, 0xbb }, { 0xbf, 0xbf }, { 0xd7, 0xd7 },
    { 0xf7, 0xf7 }, { 0x300, 0x344 }, { 0x346, 0x362 }, { 0x61c, 0x61c }, { 0x2000, 0x206f }, { 0x20a0, 0x20ff },
    { 0x2190, 0x245f }, { 0x2500, 0x2775 }, { 0x2794, 0x2bff }, { 0x3000, 0x3004 }, { 0xd800, 0xf8ff },
    { 0xfe00, 0xfe6f }, { 0xfeff, 0xfeff }, { 0xfff0, 0xffff }, { 0x1f200, 0x1faff }, { 0xe0000, 0x10ffff },
}

local function is_within(ranges, code)
    for _, range in ipairs(ranges) do
        if code >= range[1] and code <= range[2] then return true end
    end
    return false
end

-- The character of UTF-8 at `at`, and its length in bytes; nil if there is none.
local function character_at(bytes, at)
    local first = bytes:byte(at)
    if first < 0x80 then return first, 1 end
    local length = first >= 0xf0 and 4 or first >= 0xe0 and 3 or 2
    if first < 0xc2 or first > 0xf4 or at + length - 1 > #bytes then return nil end
    local code = first - ({ 0, 0xc0, 0xe0, 0xf0 })[length]
    for place = at + 1, at + length - 1 do
        local byte = bytes:byte(place)
        if byte < 0x80 or byte > 0xbf then return nil end
        code = code * 64 + byte - 0x80
    end
    if code < ({ 0, 0x80, 0x800, 0x10000 })[length] or code > 0x10ffff or (code >= 0xd800 and code <= 0xdfff) then
        return nil
    end
    return code, length
end

-- How many bytes of `bytes` are UTF-8, from the first one on.
local function valid_up_to(bytes)
    local at = 1
    while at <= #bytes do
        local _, length = character_at(bytes, at)
        if not length then return at - 1 end
        at = at + length
    end
    return #bytes
end

-- `bytes` as text in which everything is seen: `\xNN` for bytes that are no text, `\u{…}` for characters.
local function safe(bytes)
    local out, at = {}, 1
    while at <= #bytes do
        local code, length = character_at(bytes, at)
        if not code or (code < 0x80 and is_within(INVISIBLE, code)) then
            out[#out + 1] = string.format("\\x%02x", bytes:byte(at))
        elseif is_within(INVISIBLE, code) then
            out[#out + 1] = string.format("\\u{%x}", code)
        else
            out[#out + 1] = bytes:sub(at, at + length - 1)
        end
        at = at + (length or 1)
    end
    return table.concat(out)
end

-- PLUMI: bytes to values, or to what is wrong and where, in the words of plumi-proto -----------------------------------

local function fail(reason, at)
    error({ reason = reason, at = at }, 0)
end

local function quoted(code)
    local known = { [0] = "\\0", [9] = "\\t", [10] = "\\n", [13] = "\\r", [39] = "\\'", [92] = "\\\\" }
    if known[code] then return "'" .. known[code] .. "'" end
    if code > 0x20 and code < 0x7f or code == 0x20 then return "'" .. string.char(code) .. "'" end
    return string.format("'\\u{%x}'", code)
end

local function is_user_character(code)
    if code < 0x80 then return code > 0x20 and code < 0x7f and code ~= 0x3a and code ~= 0x40 end
    return not is_within(NO_LETTERS, code)
end

local function is_domain_character(code)
    return code < 0x80 and string.char(code):find("[%w._-]") ~= nil
end

-- What is wrong with a name of UTF-8, or nil.
local function name_error(name, is_allowed)
    if #name == 0 then return "is empty" end
    if #name > MAX_NAME then return string.format("is %d bytes long, %d are the most", #name, MAX_NAME) end
    local at = 1
    while at <= #name do
        local code, length = character_at(name, at)
        if not is_allowed(code) then
            if is_allowed == is_user_character and at > 1 and code >= 0x300 and code <= 0x36f then
                return string.format(
                    "has a letter whose accent is a character of its own at byte %d; write both as one, composed",
                    at)
            end
            return string.format("has %s at byte %d, which may not stand there", quoted(code), at)
        end
        at = at + length
    end
end

local function domain_error(domain)
    local wrong = name_error(domain, is_domain_character)
    if wrong then return wrong end
    local at = 0
    for label in (domain:gsub("%.$", "") .. "."):gmatch("([^.]*)%.") do
        if #label < 1 and at == 0 then return "begins with a dot" end
        if #label < 1 then return string.format("has two dots in a row at byte %d", at) end
        at = at + #label + 1
    end
end

local function check_address(address, at)
    local first = address:find("@", 1, true)
    if not first then fail("an address is user@domain, and there is no '@'", at) end
    local second = address:find("@", first + 1, true)
    if second then
        fail(string.format("an address is user@domain, and there is a second '@' at byte %d", second), at)
    end
    if #address > MAX_ADDRESS then
        fail(string.format("the address is %d bytes long, %d are the most", #address, MAX_ADDRESS), at)
    end
    local wrong = name_error(address:sub(1, first - 1), is_user_character)
    if wrong then fail("the user name " .. wrong, at) end
    wrong = domain_error(address:sub(first + 1))
    if wrong then fail("the domain " .. wrong, at) end
end

-- The fields between the colons of `bytes`, from byte `at` on. Each is { text, at = its offset }.
local function fields_of(bytes, at)
    local fields = { rest = at }

    function fields.take()
        if not fields.rest then fail("a field is missing", #bytes) end
        local start = fields.rest
        local colon = bytes:find(":", start + 1, true)
        local text = bytes:sub(start + 1, (colon or #bytes + 1) - 1)
        fields.rest = colon
        local valid = valid_up_to(text)
        if valid < #text then fail("a byte that is not UTF-8", start + valid) end
        return { text = text, at = start }
    end

    function fields.address()
        local field = fields.take()
        check_address(field.text, field.at)
        return field
    end

    function fields.ip()
        local field = fields.take()
        local parts = { field.text:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$") }
        if #parts ~= 4 then fail("no IPv4 address", field.at) end
        for _, part in ipairs(parts) do
            if tonumber(part) > 255 or (#part > 1 and part:sub(1, 1) == "0") then fail("no IPv4 address", field.at) end
        end
        return field
    end

    function fields.port()
        local field = fields.take()
        local number = field.text:find("^%d+$") and tonumber(field.text)
        local has_zeros = #field.text > 1 and field.text:sub(1, 1) == "0"
        if not number or has_zeros or number > 65535 or number < 1 then
            fail("no port, which is 1 to 65535", field.at)
        end
        field.number = number
        return field
    end

    function fields.finish()
        if fields.rest then fail("something follows its last field", fields.rest - 1) end
    end

    return fields
end

local BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

-- Whether `text` is base64url of whole bytes, without padding and with spare bits of 0.
local function is_base64url(text)
    if text:find("[^%w_-]") then return false end
    local spare = ({ [0] = 1, [2] = 16, [3] = 4 })[#text % 4]
    return spare ~= nil and #text > 0 and (BASE64URL:find(text:sub(-1), 1, true) - 1) % spare == 0
end

-- The bytes of a text of base64url.
local function base64url_bytes(text)
    local out, bits, value = {}, 0, 0
    for character in text:gmatch(".") do
        value, bits = value * 64 + BASE64URL:find(character, 1, true) - 1, bits + 6
        if bits >= 8 then
            bits = bits - 8
            out[#out + 1] = math.floor(value / 2 ^ bits)
            value = value % 2 ^ bits
        end
    end
    return out
end

-- The fields of a message that proves or enrols (protocol.md §12): each a name, a length and where it is.
local function proof_fields(bytes, at, names)
    local proof = {}
    for _, name in ipairs(names) do
        proof[#proof + 1] = { name = name[1], text = bytes:sub(at + 1, at + name[2]), at = at }
        at = at + name[2] + (name[3] or 0)
    end
    return proof
end

local CHALLENGE_FIELDS = { { "nonce", 16 }, { "seen", 8 } }
local KEY_FIELDS = { { "key", 43, 1 }, { "mac", 16 } }
local PROOF_FIELDS = { { "verb", 1 }, { "hint", 1 }, { "handle", 8 }, { "signature", 86 } }

local function is_key_and_mac(text)
    return #text == 60 and text:sub(44, 44) == ":" and is_base64url(text:sub(1, 43)) and is_base64url(text:sub(45))
end

-- What an extension of a PR or PD means; nothing, if it is none that is known.
local function decode_request_extension(message, bytes, at)
    local text = bytes:sub(at + 1)
    if text == "A" .. ("."):rep(MIN_CHALLENGE_REQUEST - at - 1) then
        message.meaning = "challenge request"
    elseif message.kind == "PR" and text:sub(1, 1) == "E" then
        if not is_key_and_mac(text:sub(2)) then fail("no enrolment, which is E, a key, ':' and a MAC", at) end
        message.meaning, message.proof = "enrolment", proof_fields(bytes, at + 1, KEY_FIELDS)
    end
end

local function decode_proof(message, bytes)
    local rest = bytes:sub(3)
    local is_proof = #rest == 96 and rest:find("^[RD][%w_-]") and is_base64url(rest:sub(3, 10))
        and is_base64url(rest:sub(11))
    if not is_proof then fail("no proof, which is a verb, a hint, a handle and a signature", 2) end
    message.meaning, message.proof = "proof", proof_fields(bytes, 2, PROOF_FIELDS)
    message.verb = rest:sub(1, 1)
end

-- What an extension of an RR or RD means.
local function decode_answer_extension(message, text, at, bytes)
    if message.code == "1" and text:find("^[%w_-]+$") and #text == 25 and text:sub(-1) == "1" then
        message.meaning, message.proof = "challenge", proof_fields(bytes, at, CHALLENGE_FIELDS)
        local seen = base64url_bytes(message.proof[2].text)
        message.seen = string.format("%d.%d.%d.%d:%d", seen[1], seen[2], seen[3], seen[4], seen[5] * 256 + seen[6])
    elseif message.kind == "RR" and message.code == "0" and is_key_and_mac(text) then
        message.meaning, message.proof = "enrolled", proof_fields(bytes, at, KEY_FIELDS)
    end
end

local function decode_all(bytes)
    if #bytes > MAX_MESSAGE then
        fail(string.format("%d bytes, %d are the most", #bytes, MAX_MESSAGE), MAX_MESSAGE)
    end
    local kind = bytes:sub(1, 2)
    local message = { kind = kind }
    -- Where the extension of an answer begins, behind its colon.
    local extension
    if kind == "PR" or kind == "PD" then
        local fields = fields_of(bytes, 2)
        message.registrant = fields.take()
        if message.registrant.text:find("@", 1, true) then
            check_address(message.registrant.text, 2)
        else
            local wrong = name_error(message.registrant.text, is_user_character)
            if wrong then fail("the user name " .. wrong, 2) end
            message.is_bare = true
        end
        if message.is_bare then
            fields.finish()
        elseif fields.rest then
            message.extension = { text = bytes:sub(fields.rest + 1), at = fields.rest }
            decode_request_extension(message, bytes, fields.rest)
        end
    elseif kind == "PK" then
        decode_proof(message, bytes)
    elseif kind == "RR" or kind == "RD" then
        message.code = bytes:match("^..([01])$") or bytes:match("^..([01]):")
            or fail("its code is not one that its kind has", 2)
        extension = #bytes > 3 and 4
    elseif kind == "PL" or kind == "RL" then
        local fields = fields_of(bytes, 2)
        if kind == "RL" then
            message.code = bytes:match("^..([0-3])") or fail("its code is not one that its kind has", 2)
            fields.rest = 3
        end
        message.from, message.to = fields.address(), fields.address()
        if message.code == "0" then message.ip, message.port = fields.ip(), fields.port() end
        if kind == "PL" then fields.finish() else extension = fields.rest end
    else
        fail("it begins with none of PR, RR, PD, RD, PL, RL, PK", 0)
    end
    if extension then message.extension = { text = bytes:sub(extension + 1), at = extension } end
    if extension and kind ~= "RL" then decode_answer_extension(message, message.extension.text, extension, bytes) end
    return message
end

-- The message that `bytes` are, or nil and what is wrong with them.
local function decode(bytes)
    local is_message, result = pcall(decode_all, bytes)
    if is_message then return result end
    if type(result) ~= "table" then error(result, 0) end
    return nil, string.format("%s (at byte %d)", result.reason, result.at + 1)
end

-- Names as they are compared: domains without regard to case and to a trailing dot.
local function comparable(address)
    local user, domain = address:match("^(.*@)(.*)$")
    return user .. domain:lower():gsub("%.$", "")
end

-- What is remembered from packet to packet ----------------------------------------------------------------------------

local requests      -- the last request of a kind from here to there, by all of these
local messages      -- by frame number: what is known of a PLUMI message beside its bytes
local locations     -- how many there were
local last_location -- of these two names
local announced     -- by TCP endpoint: the RL0s that told it
local streams       -- PMI conversations, by their two endpoints
local hosts         -- addresses that were seen, in order
local shown         -- the part of a packet that was told of last
local challenged    -- by endpoint: the user for whom it last asked for a challenge
local decrypted     -- how many parts of this packet TLS has decrypted so far

local function forget()
    requests, messages, locations, last_location = {}, {}, 0, {}
    announced, streams, hosts, shown, challenged, decrypted = {}, {}, {}, {}, {}, 0
end
forget()
plumi.init = forget

-- A number for an address. As text it is a name once Wireshark has resolved it, and several may have the same.
local function host(address)
    local low, high = 1, #hosts + 1
    while low < high do
        local middle = math.floor((low + high) / 2)
        if hosts[middle].address < address then low = middle + 1 else high = middle end
    end
    if not hosts[low] or hosts[low].address ~= address then
        table.insert(hosts, low, { address = address, number = #hosts + 1 })
    end
    return hosts[low].number
end

-- A number may be an integer or not, which Lua 5.4 writes in two ways.
local function endpoint(address, port) return string.format("%d:%d", host(address), port) end
local function source(pinfo) return endpoint(pinfo.src, pinfo.src_port) end
local function destination(pinfo) return endpoint(pinfo.dst, pinfo.dst_port) end

-- A request that is sent again belongs to the first one; so does its answer.
local function remember_request(message, pinfo, text)
    local from, to = source(pinfo), destination(pinfo)
    if message.meaning == "challenge request" then challenged[from] = message.registrant.text end
    if message.kind == "PK" then message.about = challenged[from] and { challenged[from] } end
    -- A proof is answered as what it proves.
    local kind = message.verb and "P" .. message.verb or message.kind
    local key = kind .. (message.names or "") .. " " .. from .. " " .. to
    local request = requests[key]
    local is_again = request and request.text == text and #request.answers == 0
        and pinfo.rel_ts - request.time < REQUEST_SECONDS
    if not is_again then
        request = { first = pinfo.number, time = pinfo.rel_ts, text = text, to = to, about = message.about }
        request.sent, request.answers = {}, {}
        requests[key] = request
    end
    table.insert(request.sent, pinfo.number)
    request.last = pinfo.rel_ts
    local known = { request = request, is_again = is_again }
    function known.forget()
        table.remove(request.sent)
        if #request.sent == 0 then requests[key] = nil end
    end
    if message.kind == "PL" then
        if not is_again then
            -- Whoever it was sent to sends it on: the next hop of the same location.
            local location = last_location[message.names]
            local hops = location and location.hops or {}
            for hop, earlier in ipairs(hops) do
                -- A node of several addresses may send on from another one.
                local is_node = pinfo.src_port == NODE_PORT and hop == #hops and #earlier.answers == 0
                if (earlier.to == from or is_node) and pinfo.rel_ts - earlier.last <= REQUEST_SECONDS then
                    request.hop = hop + 1
                    break
                end
            end
            if not request.hop then
                locations = locations + 1
                location = { number = locations, hops = {} }
                last_location[message.names] = location
                request.hop = 1
            end
            request.location = location
            location.hops[request.hop] = request
        end
        local before = request.location.hops[request.hop - 1]
        known.previous = before and before.sent[#before.sent]
    end
    return known
end

-- Who does not know its own address is reached at the one that it sends from.
local function announce(message, pinfo, known)
    local is_own = message.ip.text == "0.0.0.0" and pinfo.src_port ~= NODE_PORT
    known.endpoint = endpoint(is_own and pinfo.src or Address.ip(message.ip.text), message.port.number)
    known.number, known.told_to = pinfo.number, host(pinfo.dst)
    known.from, known.to = message.from.text, message.to.text
    announced[known.endpoint] = announced[known.endpoint] or {}
    table.insert(announced[known.endpoint], known)
end

local function remember_answer(message, pinfo)
    local known = {}
    if message.code == "0" and message.port then announce(message, pinfo, known) end
    local kind = message.kind:gsub("^R", "P")
    local request = requests[kind .. (message.names or "") .. " " .. destination(pinfo) .. " " .. source(pinfo)]
    function known.forget()
        if request then table.remove(request.answers) end
        if known.number then table.remove(announced[known.endpoint]) end
    end
    if not request then return known end
    table.insert(request.answers, pinfo.number)
    known.request, known.time = request, pinfo.rel_ts - request.time
    known.is_stray = #request.answers > #request.sent
    if request.location then
        local beyond = request.location.hops[request.hop + 1]
        known.previous = beyond and beyond.answers[#beyond.answers]
    end
    return known
end

local function remember(message, pinfo, text)
    if message.from then message.names = comparable(message.from.text) .. " " .. comparable(message.to.text) end
    local is_request = message.kind:sub(1, 1) == "P"
    local known = is_request and remember_request(message, pinfo, text) or remember_answer(message, pinfo)
    known.sender = host(pinfo.src)
    messages[pinfo.number] = known
    local previous = known.previous and messages[known.previous]
    if previous and not previous.next then previous.next = pinfo.number end
end

-- PLUMI: what is shown ------------------------------------------------------------------------------------------------

local plumi_field = {
    type = ProtoField.string("plumi.type", "Type"),
    code = ProtoField.uint8("plumi.code", "Code", base.DEC),
    address = ProtoField.string("plumi.address", "Address"),
    user = ProtoField.string("plumi.user", "User alone"),
    from = ProtoField.string("plumi.from", "Who asks"),
    to = ProtoField.string("plumi.to", "Who is looked for"),
    ip = ProtoField.ipv4("plumi.ip", "IP address"),
    port = ProtoField.uint16("plumi.port", "TCP port", base.DEC),
    extension = ProtoField.string("plumi.extension", "Extension"),
    offers_tls = ProtoField.bool("plumi.offers_tls", "Offers TLS"),
    meaning = ProtoField.string("plumi.meaning", "Meaning"),
    verb = ProtoField.string("plumi.verb", "Proves"),
    hint = ProtoField.string("plumi.hint", "First character of the nonce"),
    handle = ProtoField.string("plumi.handle", "Handle of the user"),
    signature = ProtoField.string("plumi.signature", "Signature"),
    nonce = ProtoField.string("plumi.nonce", "Nonce"),
    seen = ProtoField.string("plumi.seen", "Seen at"),
    key = ProtoField.string("plumi.key", "Public key"),
    mac = ProtoField.string("plumi.mac", "MAC by the invitation"),
    text = ProtoField.string("plumi.text", "Text"),
    about = ProtoField.string("plumi.about", "About"),
    request_in = ProtoField.framenum("plumi.request_in", "Answers frame", base.NONE, frametype.REQUEST),
    response_in = ProtoField.framenum("plumi.response_in", "Answered in frame", base.NONE, frametype.RESPONSE),
    response_time = ProtoField.relative_time("plumi.response_time", "Time since the request"),
    repeats = ProtoField.framenum("plumi.repeats", "Sent again, first in frame"),
    location = ProtoField.uint32("plumi.location", "Location", base.DEC),
    hop = ProtoField.uint32("plumi.hop", "Hop", base.DEC),
    previous = ProtoField.framenum("plumi.previous_hop", "Came in frame"),
    next = ProtoField.framenum("plumi.next_hop", "Sent on in frame"),
    conversation = ProtoField.framenum("plumi.conversation_in", "Leads to the conversation in frame"),
}

-- What is flagged: its name, in which group Wireshark lists it, how severe it is, and what it says.
local function flag(name, group, severity, text)
    return ProtoExpert.new(name, text, expert.group[group], expert.severity[severity])
end

local plumi_flag = {
    malformed = flag("plumi.malformed", "MALFORMED", "ERROR", "Not a PLUMI message"),
    bare = flag("plumi.bare_user", "PROTOCOL", "NOTE",
        "A user without a domain: an older form, which means a user of the node's own domain (protocol.md §7, "
            .. "row 1)"),
    busy = flag("plumi.busy_address", "PROTOCOL", "NOTE",
        "An address behind the names of an RL1: an older form, which means nothing (protocol.md §7, row 4)"),
    misleading = flag("plumi.misleading_extension", "PROTOCOL", "WARN",
        "Deployed agents take the last byte for the code, and it is another one (protocol.md §7, row 18)"),
    unknown = flag("plumi.own_address_unknown", "PROTOCOL", "NOTE",
        "The agent does not know its own address: its node puts the one in its place that the agent "
            .. "registered from (protocol.md §7, row 5)"),
    nowhere = flag("plumi.nowhere", "PROTOCOL", "WARN",
        "Nobody can be called at this address (protocol.md §4)"),
    no_request = flag("plumi.no_request", "SEQUENCE", "NOTE",
        "Answers nothing that was captured: a stray, or the capture began later"),
    stray = flag("plumi.stray", "SEQUENCE", "WARN",
        "More answers than requests: whoever gets this one drops it, or ends (protocol.md §7, row 7)"),
    no_answer = flag("plumi.no_answer", "SEQUENCE", "NOTE", "No answer to this was captured"),
    cut = flag("plumi.cut", "UNDECODED", "NOTE", "Not captured whole"),
}
plumi.fields = plumi_field
plumi.experts = plumi_flag

local icmp_type = Field.new("icmp.type")

local KINDS = {
    PR = "register", RR = "answer to PR", PD = "deregister", RD = "answer to PD", PL = "locate", RL = "answer to PL",
    PK = "proof",
}
local CODES = {
    RR = { ["0"] = "registered", ["1"] = "no such user, or not from there" },
    RD = { ["0"] = "deregistered", ["1"] = "no such user, or not from there" },
    RL = { ["0"] = "found", ["1"] = "busy", ["2"] = "no such user or domain", ["3"] = "offline" },
}

-- Whether an RL0 offers TLS: the first field of its extension says so, whatever follows (protocol.md §11).
local function offers_tls(message)
    return message.port and message.extension and (message.extension.text .. ":"):find("^T:") ~= nil
end

-- The message as a sentence. `who` is whom an RR or RD is about, as far as is known.
local function sentence(message, who, known)
    local kind, code = message.kind, message.code
    local passed_on = known.previous and " (sent on)" or ""
    local again = known.is_again and ", again" or ""
    local extension = message.extension and message.extension.text
    local more = offers_tls(message) and ", offers TLS" or ""
    if message.meaning == "enrolment" then return who .. " enrols a key, by an invitation" .. again end
    if kind == "PK" then
        return "proof of " .. who .. (message.verb == "R" and ", to register" or ", to deregister") .. again
    end
    if message.meaning == "challenge request" then again = ", asks for a challenge" .. again end
    if message.meaning == "challenge" then
        local done = kind == "RR" and "registered" or "deregistered"
        return who .. " is not " .. done .. " yet: prove it (seen at " .. message.seen .. ")"
    end
    if message.meaning == "enrolled" then return who .. " is enrolled: the node has taken the key, and knows the invitation" end
    if extension and not (offers_tls(message) and extension == "T") then
        more = more .. " (extension: " .. safe(extension) .. ")"
    end
    if kind == "PR" then return who .. " registers" .. again end
    if kind == "PD" then return who .. " deregisters" .. again end
    if kind == "RR" or kind == "RD" then
        local done = kind == "RR" and "registered" or "deregistered"
        return who .. (code == "0" and " is " .. done or " is not " .. done .. ": no such user, or not from there") .. more
    end
    local from, to = safe(message.from.text), safe(message.to.text)
    if kind == "PL" then return from .. " asks where " .. to .. " is" .. again .. passed_on end
    local outcome = ({
        ["0"] = function() return to .. " is at " .. message.ip.text .. ", TCP port " .. message.port.number end,
        ["1"] = function() return to .. " is busy, in a conversation" end,
        ["2"] = function() return to .. " is not to be found: no such user or domain" end,
        ["3"] = function() return to .. " is offline" end,
    })[code]
    return outcome() .. more .. passed_on
end

-- No address of one host (protocol.md §4).
local function is_nowhere(ip)
    local first = tonumber(ip:match("^%d+"))
    return first == 0 or (first >= 224 and first <= 239) or ip == "255.255.255.255"
end

local function add_seconds(tree, field, seconds)
    local nanoseconds = math.floor(seconds * 1e9 + 0.5)
    local whole = math.floor(nanoseconds / 1e9)
    tree:add(field, NSTime.new(whole, nanoseconds - whole * 1000000000)):set_generated()
end

local function add_known(tree, message, known, about, is_visited)
    local function generated(field, value)
        if value then tree:add(field, value):set_generated() end
    end
    local request = known.request
    if request and known.time then
        generated(plumi_field.request_in, request.first)
        add_seconds(tree, plumi_field.response_time, known.time)
        if known.is_stray then tree:add_proto_expert_info(plumi_flag.stray) end
    elseif request then
        if known.is_again then generated(plumi_field.repeats, request.first) end
        generated(plumi_field.response_in, request.answers[1])
        if is_visited and not request.answers[1] then tree:add_proto_expert_info(plumi_flag.no_answer) end
    elseif message.kind:sub(1, 1) == "R" then
        tree:add_proto_expert_info(plumi_flag.no_request)
    end
    if request and request.location then
        generated(plumi_field.location, request.location.number)
        generated(plumi_field.hop, request.hop)
        generated(plumi_field.previous, known.previous)
        generated(plumi_field.next, known.next)
    end
    generated(plumi_field.conversation, known.conversation)
    for _, who in ipairs(about) do tree:add(plumi_field.about, safe(who)):set_generated() end
end

local function not_a_message(pinfo, root, wrong)
    pinfo.cols.protocol = "PLUMI"
    pinfo.cols.info = "not a PLUMI message: " .. wrong
    root:append_text(", not a message: " .. wrong)
    root:add_proto_expert_info(plumi_flag.malformed, "Not a PLUMI message: " .. wrong)
end

function plumi.dissector(tvb, pinfo, tree)
    pinfo.cols.protocol = "PLUMI"
    local bytes = tvb:raw()
    local root = tree:add(plumi, tvb())
    if tvb:len() < tvb:reported_len() then
        root:add_proto_expert_info(plumi_flag.cut)
        return tvb:len()
    end
    local message, wrong = decode(bytes)
    if not message then
        not_a_message(pinfo, root, wrong)
        if KINDS[bytes:sub(1, 2)] then root:add(plumi_field.type, tvb(0, 2), bytes:sub(1, 2)) end
        root:add(plumi_field.text, tvb(), safe(bytes))
        return tvb:len()
    end

    -- What an ICMP error quotes is not sent once more.
    local is_quoted = icmp_type() ~= nil
    if not pinfo.visited and not is_quoted then
        message.about = message.registrant and { message.registrant.text }
        remember(message, pinfo, bytes)
    end
    local known = not is_quoted and messages[pinfo.number] or {}
    local about = message.registrant and { message.registrant.text }
        or message.from and { message.from.text, message.to.text }
        or known.request and known.request.about or {}
    local who = about[1] and safe(about[1]) or message.kind == "PK" and "?" or "the user"

    local info = sentence(message, who, known)
    pinfo.cols.info = info
    root:append_text(", " .. info)
    root:add(plumi_field.type, tvb(0, 2), message.kind):append_text(" (" .. KINDS[message.kind] .. ")")
    if message.code then
        local code = root:add(plumi_field.code, tvb(2, 1), tonumber(message.code))
        code:append_text(" (" .. CODES[message.kind][message.code] .. ")")
    end
    local function add(field, part, value)
        if part then return root:add(field, tvb(part.at, #part.text), value or safe(part.text)) end
    end
    local bare = add(message.is_bare and plumi_field.user or plumi_field.address, message.registrant)
    if message.is_bare then bare:add_proto_expert_info(plumi_flag.bare) end
    add(plumi_field.from, message.from)
    add(plumi_field.to, message.to)
    local ip = add(plumi_field.ip, message.ip, message.ip and Address.ip(message.ip.text))
    add(plumi_field.port, message.port, message.port and message.port.number)
    if message.extension then
        local text = message.extension.text
        local extension = root:add(plumi_field.extension, tvb(message.extension.at - 1, #text + 1), safe(text))
        if message.meaning then extension:append_text(" (" .. message.meaning .. ")") end
        if offers_tls(message) then root:add(plumi_field.offers_tls, tvb(message.extension.at, 1), true) end
        local is_last_one = bytes:sub(-1) == "1"
        if message.kind == "RL" and message.code == "1" and text:find("^%d+%.%d+%.%d+%.%d+:%d+$") then
            extension:add_proto_expert_info(plumi_flag.busy)
        elseif message.code and message.meaning ~= "enrolled" and message.kind ~= "RL" and is_last_one ~= (message.code == "1") then
            extension:add_proto_expert_info(plumi_flag.misleading)
        end
    end
    if message.meaning then root:add(plumi_field.meaning, message.meaning):set_generated() end
    for _, part in ipairs(message.proof or {}) do add(plumi_field[part.name], part, part.name == "seen" and message.seen) end
    if ip and message.ip.text == "0.0.0.0" and pinfo.src_port ~= NODE_PORT then
        ip:add_proto_expert_info(plumi_flag.unknown)
    elseif ip and is_nowhere(message.ip.text) then
        ip:add_proto_expert_info(plumi_flag.nowhere)
    end
    root:add(plumi_field.text, tvb(), safe(bytes))
    add_known(root, message, known, about, pinfo.visited)
    return tvb:len()
end

DissectorTable.get("udp.port"):add(NODE_PORT, plumi)

-- PMI: a stream of frames ---------------------------------------------------------------------------------------------

local pmi_field = {
    type = ProtoField.string("pmi.type", "Type"),
    length = ProtoField.uint16("pmi.length", "Length", base.DEC),
    nickname = ProtoField.string("pmi.nickname", "Nickname"),
    line = ProtoField.string("pmi.line", "Line"),
    unframed = ProtoField.string("pmi.unframed", "Text without a frame"),
    speaker = ProtoField.string("pmi.speaker", "Speaker"),
    caller = ProtoField.string("pmi.caller", "Caller"),
    callee = ProtoField.string("pmi.callee", "Callee"),
    announced_in = ProtoField.framenum("pmi.announced_in", "Located in frame", base.NONE, frametype.REQUEST),
    -- These are in pmi/2 only.
    address = ProtoField.string("pmi.address", "Address that is claimed"),
    can = ProtoField.string("pmi.can", "Abilities"),
    id = ProtoField.string("pmi.id", "Message"),
    sent_at = ProtoField.absolute_time("pmi.sent_at", "Sent at", base.UTC),
    receipt = ProtoField.string("pmi.receipt", "Receipt"),
    typing = ProtoField.bool("pmi.typing", "Typing"),
    reason = ProtoField.string("pmi.reason", "Reason of the end"),
}
local pmi_flag = {
    malformed = flag("pmi.malformed", "MALFORMED", "ERROR",
        "Not PMI: a conversation begins with a frame N or L and two digits"),
    unframed = flag("pmi.illegal_header", "PROTOCOL", "WARN",
        "No frame begins like this: taken for text, to the end of the segment (protocol.md §5)"),
    long = flag("pmi.long_line", "PROTOCOL", "NOTE",
        "A line of 100 characters or more with three digits, as a deployed agent sends it, without its last "
            .. "byte (protocol.md §7, row 13)"),
    no_nickname = flag("pmi.no_nickname", "PROTOCOL", "WARN",
        "The first frame of a side has to be its nickname"),
    again = flag("pmi.nickname_again", "PROTOCOL", "WARN", "A nickname is sent once"),
    empty = flag("pmi.nickname_empty", "PROTOCOL", "WARN", "A nickname has 1 to 99 bytes"),
    forbidden = flag("pmi.forbidden", "PROTOCOL", "WARN", "NUL and line ends may not stand in a frame"),
    not_utf8 = flag("pmi.not_utf8", "PROTOCOL", "NOTE", "Bytes that are not UTF-8"),
    split = flag("pmi.split", "PROTOCOL", "NOTE",
        "This frame came in several segments, which ends a deployed agent (protocol.md §7, row 11)"),
    coalesced = flag("pmi.coalesced", "PROTOCOL", "NOTE",
        "Several frames came in one segment, of which a deployed agent sees the first (protocol.md §7, row 10)"),
    not_understood = flag("pmi.not_understood", "PROTOCOL", "WARN",
        "A frame of another kind or form: its letter is upper case, so the receiver ends (protocol.md §13)"),
    ignored = flag("pmi.ignored", "PROTOCOL", "NOTE",
        "A frame of another kind or form: its letter is lower case, so it is ignored (protocol.md §13)"),
    unreadable = flag("pmi.unreadable", "MALFORMED", "ERROR",
        "No frame begins like this, and nothing behind it can be read (protocol.md §13)"),
    reset = flag("pmi.reset", "SEQUENCE", "WARN",
        "Reset, not ended: the conversation is lost (protocol.md §5)"),
}
pmi.fields = pmi_field
pmi.experts = pmi_flag

local function stream_key(pinfo)
    local one, other = source(pinfo), destination(pinfo)
    return one < other and one .. " " .. other or other .. " " .. one
end

-- The RL0 that told `caller`, or somebody, of the endpoint `callee`: the last one before frame `number`.
local function announcement(callee, caller, number)
    local best
    for _, known in ipairs(announced[callee] or {}) do
        local is_theirs = known.told_to == caller
        if known.number < number and (is_theirs or not best or best.told_to ~= caller) then best = known end
    end
    return best
end

-- The conversation that this packet belongs to, if its port was announced or it is known from before.
local function known_stream(pinfo)
    local key = stream_key(pinfo)
    local stream = streams[key]
    -- Whatever was there before was no conversation when it passed, and is none when it is looked at again.
    if stream then return pinfo.number >= stream.since and stream or nil end
    local to_callee = announcement(destination(pinfo), host(pinfo.src), pinfo.number)
    local to_caller = announcement(source(pinfo), host(pinfo.dst), pinfo.number)
    if to_callee then
        stream = { callee = destination(pinfo), announcement = to_callee }
    elseif to_caller then
        stream = { callee = source(pinfo), announcement = to_caller }
    else
        return nil
    end
    stream.announcement.conversation = stream.announcement.conversation or pinfo.number
    stream.sides = {}
    stream.since = pinfo.number
    streams[key] = stream
    return stream
end

local function side_of(stream, pinfo)
    local is_callee = source(pinfo) == stream.callee
    local key = is_callee and "callee" or "caller"
    stream.sides[key] = stream.sides[key] or { nicknames = {}, name = "the " .. key, key = key }
    return stream.sides[key]
end

-- What a side is called at frame `number`.
local function name_of(side, number)
    local name = side.name
    for _, nickname in ipairs(side.nicknames) do
        if nickname.number <= number then name = nickname.text end
    end
    return name
end

-- What the bytes from `at` on begin with: "begun", "illegal", or the type of a frame and the length of its text.
local function header_at(bytes, at)
    local header = bytes:sub(at + 1, at + HEADER)
    local kind, length = header:match("^([NL])(%d%d)$")
    if kind then return kind, tonumber(length) end
    if #header < HEADER and (header == "" or header:find("^[NL]%d?$")) then return "begun" end
    return "illegal"
end

-- Where a line of three digits ends that looks like a frame with `length` bytes of text; nil if it is that frame. As
-- mi-proto reads it.
local function long_line_end(bytes, at, kind, length)
    local third = bytes:match("^%d", at + HEADER + 1)
    local announces = third and length * 10 + tonumber(third) or 0
    if kind ~= "L" or announces <= MAX_TEXT or header_at(bytes, at + HEADER + length) ~= "illegal" then return nil end
    local stop = at + HEADER + announces
    return stop <= #bytes and header_at(bytes, stop) ~= "illegal" and stop or #bytes
end

local function add_text(tree, field, range, bytes)
    local item = tree:add(field, range, safe(bytes))
    if bytes:find("[\0\r\n]") then item:add_proto_expert_info(pmi_flag.forbidden) end
    if valid_up_to(bytes) < #bytes then item:add_proto_expert_info(pmi_flag.not_utf8) end
    return item
end

local function add_nickname(tree, tvb, pinfo, side, at, text)
    local name = #text > 0 and safe(text) or side.name
    if not pinfo.visited then table.insert(side.nicknames, { number = pinfo.number, at = at, text = name }) end
    -- What Wireshark brings in other pieces when it looks again may have been no nickname before.
    local first = side.nicknames[1] or { number = pinfo.number, at = at }
    local item
    if #text > 0 then
        item = add_text(tree, pmi_field.nickname, tvb(at + HEADER, #text), text)
    else
        item = tree:add(pmi_field.nickname, "")
        item:add_proto_expert_info(pmi_flag.empty)
    end
    if first.number ~= pinfo.number or first.at ~= at then
        item:add_proto_expert_info(pmi_flag.again)
        return name .. " is the new nickname of " .. side.key
    end
    return side.key == "caller" and name .. " calls" or name .. " takes the call"
end

-- What is no frame, the bytes from `from` to `stop`. Returns its sentence.
local function add_unframed(item, tvb, bytes, from, stop, flag, who)
    local text = bytes:sub(from + 1, stop)
    local shown = from < stop and add_text(item, pmi_field.unframed, tvb(from, stop - from), text) or item
    shown:add_proto_expert_info(flag)
    if flag == pmi_flag.malformed then return "not PMI: " .. safe(text:sub(1, MAX_SEEN)) end
    return who .. " says: " .. safe(text)
end

-- A frame of this kind, with so many bytes of text. Returns its sentence.
local function add_frame(item, tvb, pinfo, side, at, kind, length, is_first)
    local text = tvb:raw(at, HEADER + length):sub(HEADER + 1)
    item:add(pmi_field.type, tvb(at, 1), kind):append_text(kind == "N" and " (nickname)" or " (line)")
    item:add(pmi_field.length, tvb(at + 1, 2), length)
    if kind == "N" then return add_nickname(item, tvb, pinfo, side, at, text) end
    if length > 0 then
        add_text(item, pmi_field.line, tvb(at + HEADER, length), text)
    else
        item:add(pmi_field.line, "")
    end
    if is_first then item:add_proto_expert_info(pmi_flag.no_nickname) end
    return name_of(side, pinfo.number) .. " says: " .. safe(text)
end

local function add_conversation(item, stream, speaker)
    item:add(pmi_field.speaker, speaker):set_generated()
    local told = stream.announcement
    if not told then return end
    item:add(pmi_field.caller, safe(told.from)):set_generated()
    item:add(pmi_field.callee, safe(told.to)):set_generated()
    item:add(pmi_field.announced_in, told.number):set_generated()
end

-- The frames of what has come, as items of `tree`; their sentences. What has only begun is asked for again with the rest.
-- `call` is which part of the packet this is.
local function dissect_frames(tvb, pinfo, tree, stream, side, call)
    local bytes, at, said = tvb:raw(), 0, {}
    local first = side.first
    local is_past_first = first and (first.number < pinfo.number or first.number == pinfo.number and first.call ~= call)
    while at < #bytes do
        local kind, length = header_at(bytes, at)
        local needs = kind == "begun" and DESEGMENT_ONE_MORE_SEGMENT or length and at + HEADER + length - #bytes or 0
        if needs > 0 then
            if pinfo.can_desegment > 0 then
                pinfo.desegment_offset, pinfo.desegment_len = at, needs
                break
            end
            -- Nobody puts segments together.
            kind = "illegal"
        end
        local long = kind ~= "illegal" and is_past_first and long_line_end(bytes, at, kind, length)
        local stop = long or kind ~= "illegal" and at + HEADER + length or #bytes
        local item = tree:add(pmi, tvb(at, stop - at))
        local sentence
        if long then
            sentence = add_unframed(item, tvb, bytes, at + HEADER + 1, stop, pmi_flag.long, name_of(side, pinfo.number))
        elseif kind == "illegal" then
            local flag = is_past_first and pmi_flag.unframed or pmi_flag.malformed
            sentence = add_unframed(item, tvb, bytes, at, stop, flag, name_of(side, pinfo.number))
        else
            if not is_past_first and not pinfo.visited then side.first = { number = pinfo.number, call = call } end
            sentence = add_frame(item, tvb, pinfo, side, at, kind, length, not is_past_first)
            is_past_first = true
        end
        item:append_text(", " .. sentence)
        -- Whoever speaks TLS reads a stream.
        if not stream.is_tls then
            if call == 0 and at == 0 then item:add_proto_expert_info(pmi_flag.split) end
            if at > 0 then item:add_proto_expert_info(pmi_flag.coalesced) end
        end
        add_conversation(item, stream, name_of(side, pinfo.number))
        said[#said + 1] = sentence
        at = stop
    end
    return said
end

-- The frames of pmi/2. Each returns its sentence, or nil if the payload is not of its form.
local RICH = {}

local function value_of(lines, key)
    local value = ("\n" .. lines .. "\n"):match("\n" .. key .. "=(.-)\n")
    return value and #value > 0 and #value <= MAX_TEXT and not value:find("[\0\r]") and value or nil
end

function RICH.N(item, range, payload, pinfo, side)
    local nickname = value_of(payload, "nick")
    if #payload > MAX_GREETING or valid_up_to(payload) < #payload or not nickname then return nil end
    local name = safe(nickname)
    if not pinfo.visited then table.insert(side.nicknames, { number = pinfo.number, at = 0, text = name }) end
    item:add(pmi_field.nickname, range(), name)
    for _, key in ipairs({ "address", "can" }) do
        local value = value_of(payload, key == "address" and "addr" or key)
        if value then item:add(pmi_field[key], range(), safe(value)) end
    end
    return side.key == "caller" and name .. " calls" or name .. " takes the call"
end

local function add_id(item, range)
    local id = range(0, 8):bytes():tohex(true)
    item:add(pmi_field.id, range(0, 8), id)
    return id
end

function RICH.M(item, range, payload, pinfo, side)
    local text = payload:sub(17)
    if #payload < 16 or #text > MAX_LINES or valid_up_to(text) < #text then return nil end
    add_id(item, range)
    local milliseconds = range(8, 8):uint64()
    local seconds = (milliseconds / 1000):tonumber()
    -- What no clock shows is not shown as a time.
    if seconds <= 0xffffffff then
        item:add(pmi_field.sent_at, range(8, 8), NSTime.new(seconds, (milliseconds % 1000):tonumber() * 1000000))
    end
    if #text > 0 then
        item:add(pmi_field.line, range(16), safe(text))
    else
        item:add(pmi_field.line, "")
    end
    return name_of(side, pinfo.number) .. " says: " .. safe(text)
end

function RICH.r(item, range, payload, pinfo, side)
    local word = payload:sub(9)
    if word ~= "stored" and word ~= "shown" and word ~= "refused" then return nil end
    local id = add_id(item, range)
    item:add(pmi_field.receipt, range(8), word)
    return name_of(side, pinfo.number) .. " has " .. word .. " message " .. id
end

function RICH.t(item, range, payload, pinfo, side)
    if payload ~= "1" and payload ~= "0" then return nil end
    item:add(pmi_field.typing, range(), payload == "1")
    return name_of(side, pinfo.number) .. (payload == "1" and " types" or " types no more")
end

function RICH.p(_, _, payload, pinfo, side)
    return #payload == 0 and name_of(side, pinfo.number) .. " is there" or nil
end

function RICH.E(item, range, payload, pinfo, side)
    if #payload > MAX_REASON or valid_up_to(payload) < #payload then return nil end
    if #payload > 0 then item:add(pmi_field.reason, range(), safe(payload)) end
    return name_of(side, pinfo.number) .. " ends, because: " .. safe(payload)
end

local function add_rich_frame(item, tvb, pinfo, side, at, length)
    local kind = tvb(at, 1):string()
    item:add(pmi_field.type, tvb(at, 1), kind)
    item:add(pmi_field.length, tvb(at + 1, 3), length)
    local payload = tvb:raw(at, HEADER2 + length):sub(HEADER2 + 1)
    local range = length > 0 and function(from, size)
        return tvb(at + HEADER2 + (from or 0), size or length - (from or 0))
    end
    local sentence = RICH[kind] and RICH[kind](item, range, payload, pinfo, side)
    if sentence then return sentence end
    local is_upper = kind:find("%u") ~= nil
    item:add_proto_expert_info(is_upper and pmi_flag.not_understood or pmi_flag.ignored)
    return name_of(side, pinfo.number) .. " sends a frame " .. kind .. " of another form"
end

-- As `dissect_frames`, for a stream of pmi/2.
local function dissect_rich_frames(tvb, pinfo, tree, stream, side)
    local bytes, at, said = tvb:raw(), 0, {}
    while at < #bytes do
        local kind, length = bytes:byte(at + 1), 0
        local is_begun = #bytes - at < HEADER2
        if not is_begun then length = tvb(at + 1, 3):uint() end
        local is_frame = string.char(kind):find("%a") and length <= MAX_PAYLOAD
        local needs = is_begun and DESEGMENT_ONE_MORE_SEGMENT or at + HEADER2 + length - #bytes
        if is_frame and needs > 0 and pinfo.can_desegment > 0 then
            pinfo.desegment_offset, pinfo.desegment_len = at, needs
            break
        end
        is_frame = is_frame and needs <= 0
        local stop = is_frame and at + HEADER2 + length or #bytes
        local item = tree:add(pmi, tvb(at, stop - at))
        local sentence
        if is_frame then
            sentence = add_rich_frame(item, tvb, pinfo, side, at, length)
        else
            item:add_proto_expert_info(pmi_flag.unreadable)
            sentence = "not pmi/2: " .. safe(bytes:sub(at + 1, at + MAX_SEEN))
        end
        item:append_text(", " .. sentence)
        add_conversation(item, stream, name_of(side, pinfo.number))
        said[#said + 1] = sentence
        at = stop
    end
    return said
end

-- `call` is which part of the packet this is.
local function dissect_part(tvb, pinfo, tree, stream, call)
    pinfo.cols.protocol = "PMI"
    local dissect = stream.is_rich and dissect_rich_frames or dissect_frames
    local said = dissect(tvb, pinfo, tree, stream, side_of(stream, pinfo), call)
    if #said == 0 then return tvb:len() end
    -- The end of one frame and all of another may come in one packet: two calls, of which the second adds to the first.
    if shown.number ~= pinfo.number or shown.call == call then shown = { number = pinfo.number, call = call } end
    pinfo.cols.info = (shown.call == call and "" or "; ") .. table.concat(said, "; ")
    pinfo.cols.info:fence()
    return tvb:len()
end

-- The conversation that this packet belongs to, or that begins with it; nil if it is before one.
local function stream_of(pinfo)
    local stream = known_stream(pinfo)
    local key = stream_key(pinfo)
    if stream or streams[key] then return stream end
    stream = { callee = destination(pinfo), sides = {}, since = pinfo.number }
    streams[key] = stream
    return stream
end

-- Called for conversations that were announced or recognised, and where somebody chose "Decode As". The first byte tells
-- whether they are plain.
local function dissect_pmi(tvb, pinfo, tree)
    local stream = stream_of(pinfo)
    if not stream then return 0 end
    if stream.is_tls == nil then stream.is_tls = tvb(0, 1):uint() == TLS_HANDSHAKE end
    if stream.is_tls then
        -- Each dissector on the way takes one from it, and TLS needs one to have segments put together.
        if pinfo.can_desegment > 0 then pinfo.can_desegment = pinfo.can_desegment + 1 end
        return Dissector.get("tls"):call(tvb, pinfo, tree)
    end
    -- 0 is what was put together of several segments, else where in the packet this begins.
    return dissect_part(tvb, pinfo, tree, stream, tvb:offset())
end
pmi.dissector = dissect_pmi
DissectorTable.get("tcp.port"):add_for_decode_as(pmi)

-- Called by TLS, for what it has decrypted. What comes of one packet is counted.
local function dissect_decrypted(tvb, pinfo, tree, is_rich)
    local stream = stream_of(pinfo)
    if not stream then return 0 end
    stream.is_tls, stream.is_rich = true, is_rich
    decrypted = decrypted + 1
    return dissect_part(tvb, pinfo, tree, stream, decrypted)
end
function pmi_in_tls.dissector(tvb, pinfo, tree) return dissect_decrypted(tvb, pinfo, tree, false) end
function pmi2_in_tls.dissector(tvb, pinfo, tree) return dissect_decrypted(tvb, pinfo, tree, true) end
DissectorTable.get("tls.alpn"):add("pmi/1", pmi_in_tls)
DissectorTable.get("tls.alpn"):add("pmi/2", pmi2_in_tls)

-- Where somebody chose "Decode As", for a conversation that was decrypted elsewhere: pmi/2 is never plain on the wire.
function pmi2.dissector(tvb, pinfo, tree)
    local stream = stream_of(pinfo)
    if not stream then return 0 end
    stream.is_tls, stream.is_rich = false, true
    return dissect_part(tvb, pinfo, tree, stream, tvb:offset())
end
DissectorTable.get("tcp.port"):add_for_decode_as(pmi2)

-- Whoever speaks first is the caller, and says a nickname: that frame, and nothing behind it but more frames.
local function begins_conversation(bytes)
    local kind, length = header_at(bytes, 0)
    if kind ~= "N" or length == 0 then return false end
    local text = bytes:sub(HEADER + 1, HEADER + length)
    return not text:find("[\0-\31\127]") and header_at(bytes, HEADER + length) ~= "illegal"
end

pmi:register_heuristic("tcp", function(tvb, pinfo, tree)
    if not known_stream(pinfo) and not begins_conversation(tvb:raw()) then return false end
    pinfo.conversation = pmi
    -- Called by way of Wireshark, it could not ask for the rest of a frame.
    dissect_pmi(tvb, pinfo, tree)
    return true
end)

-- Packets of which TCP and UDP tell nobody, because they carry nothing: looked for when all is dissected ----------

local TCP, UDP = 2, 3 -- Pinfo.port_type
-- The most that stands before an IP header: Ethernet with two tags. What an ICMP error quotes stands farther back.
local MAX_LINK_HEADER = 22

-- Where in the frame the TCP or UDP header begins, and how long its IP packet is without the IP header; nil if it is not
-- found. Fields would tell, but on the first pass there are none.
local function transport_header(frame, pinfo, protocol)
    local function two_bytes(number) return string.char(math.floor(number / 256), number % 256) end
    local ports = two_bytes(pinfo.src_port) .. two_bytes(pinfo.dst_port)
    for start = 1, MAX_LINK_HEADER + 1 do
        local version, _, high, low, _, _, _, _, _, carries = frame:byte(start, start + 9)
        if carries == protocol and version >= 0x45 and version <= 0x4f then
            local header = start + version % 16 * 4
            if frame:sub(header, header + 3) == ports then return header, high * 256 + low - version % 16 * 4 end
        end
    end
end

local function dissect_end(pinfo, tree, stream, is_reset, is_alone)
    local side = side_of(stream, pinfo)
    local who = name_of(side, pinfo.number)
    if not pinfo.visited then
        side.ended = side.ended or pinfo.number
        stream.ended = stream.ended or pinfo.number
    end
    local told
    if is_reset then
        told = who .. " resets the connection: the conversation is lost"
    else
        told = who .. (stream.ended == side.ended and " ends the conversation" or " ends it, too")
    end
    local item = tree:add(pmi):append_text(", " .. told)
    if is_reset then item:add_proto_expert_info(pmi_flag.reset) end
    pinfo.cols.protocol = "PMI"
    if is_alone then pinfo.cols.info = told else pinfo.cols.info:append("; " .. told) end
end

local function beside_tcp(frame, pinfo, tree)
    -- From the first packet on to where an RL0 told, whatever else has that port.
    local stream = known_stream(pinfo)
    if not stream then return end
    if not pinfo.visited then pinfo.conversation = pmi end
    local header, length = transport_header(frame, pinfo, 6)
    if not header or header + 13 > #frame then return end
    local flags = frame:byte(header + 13)
    local is_end, is_reset = flags % 2 == 1, math.floor(flags / 4) % 2 == 1
    if is_end or is_reset then
        dissect_end(pinfo, tree, stream, is_reset, length <= math.floor(frame:byte(header + 12) / 16) * 4)
    end
end

local function beside_udp(frame, pinfo, tree)
    local known = messages[pinfo.number]
    if known then
        -- What an ICMP error quotes was not sent once more.
        if known.sender ~= host(pinfo.src) then
            known.forget()
            messages[pinfo.number] = nil
        end
        return
    end
    local _, length = transport_header(frame, pinfo, 17)
    if length == 8 then
        local _, wrong = decode("")
        not_a_message(pinfo, tree:add(plumi), wrong)
    end
end

function beside.dissector(tvb, pinfo, tree)
    decrypted = 0
    if pinfo.port_type == TCP and (next(announced) or next(streams)) then
        beside_tcp(tvb:raw(), pinfo, tree)
    elseif pinfo.port_type == UDP and (pinfo.src_port == NODE_PORT or pinfo.dst_port == NODE_PORT) then
        beside_udp(tvb:raw(), pinfo, tree)
    end
end
register_postdissector(beside)
