import socket,time,random
def alive(s):
    try:
        s.settimeout(0.3); s.sendall(b'GET /health HTTP/1.1\r\nHost: a\r\n\r\n'); return s.recv(200).startswith(b'HTTP/1.1 200')
    except OSError: return False
def probe(n):
    bad=0
    for _ in range(n):
        s=socket.create_connection(('127.0.0.1',18090)); 
        if not alive(s): bad+=1
        s.close(); time.sleep(0.01)
    return bad
print('before: hung',probe(30),'of 30')
for r in range(60):
    socks=[]
    for _ in range(8):
        s=socket.create_connection(('127.0.0.1',18090)); socks.append(s)
    time.sleep(0.03)
    random.shuffle(socks)
    for s in socks: s.close(); time.sleep(0.003)
    time.sleep(0.05)
    if r%10==9:
        b=probe(20)
        print('round',r+1,'hung',b,'of 20 with no other connection')
        if b: break
time.sleep(3); print('3 s later: hung',probe(30),'of 30')
