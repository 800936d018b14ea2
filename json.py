import socket,threading,time
def h(c):
    d=b''
    try:
        while b'\r\n\r\n' not in d:
            x=c.recv(65536)
            if not x: return
            d+=x
        if d.startswith(b'GET'):
            c.sendall(b'HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok'); c.close(); return
        c.sendall(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{"a":')
        time.sleep(0.8); c.sendall(b'"0123456789"   }')
        c.recv(100)
    except OSError: pass
s=socket.socket(); s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1); s.bind(('127.0.0.1',19005)); s.listen(50)
while 1:
    c,_=s.accept(); threading.Thread(target=h,args=(c,),daemon=True).start()
